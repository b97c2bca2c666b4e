import type { Workspace } from '@astrago/api';
import { answer, type CommandContext } from '../context.ts';
import { usageFailure } from '../failure.ts';
import { table } from '../show/table.ts';

export async function workspaces(context: CommandContext): Promise<void> {
  const client = await context.connect();
  const list = await client.listWorkspaces();
  answer(context, list, () => (list.items.length === 0 ? 'There is no workspace yet.' : workspaceTable(list.items)));
}

export interface WorkspaceSetInput {
  readonly name: string;
  readonly computeSlices?: number;
  readonly memorySlices?: number;
  readonly unlimited?: boolean;
}

export async function workspaceSet(context: CommandContext, input: WorkspaceSetInput): Promise<void> {
  const limited = input.computeSlices !== undefined || input.memorySlices !== undefined;
  if (limited === (input.unlimited === true)) {
    throw usageFailure('A limit or --unlimited is needed, and not both.', 'Give --compute-slices N, --memory-slices N or both.');
  }
  const client = await context.connect();
  const workspace = await client.putWorkspace({
    params: { workspace: input.name },
    body: { limit: { compute: input.computeSlices, memory: input.memorySlices } },
  });
  answer(context, workspace, () => workspaceTable([workspace]));
}

function workspaceTable(items: readonly Workspace[]): string {
  return table(
    ['WORKSPACE', 'COMPUTE SLICES', 'MEMORY SLICES', 'RUNNING', 'QUEUED'],
    items.map((workspace) => [
      workspace.name,
      `${workspace.used.compute} of ${workspace.limit.compute ?? 'unlimited'}`,
      `${workspace.used.memory} of ${workspace.limit.memory ?? 'unlimited'}`,
      workspace.running,
      workspace.queued,
    ]),
  );
}
