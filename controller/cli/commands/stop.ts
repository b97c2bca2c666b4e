import { answer, type CommandContext } from '../context.ts';
import type { NamedInput } from './describe.ts';

export async function stop(context: CommandContext, input: NamedInput): Promise<void> {
  const client = await context.connect();
  const workload = await client.stopWorkload({ params: { workload: input.name }, query: { workspace: input.workspace } });
  answer(context, workload, () => `${workload.name} is ${workload.phase}`);
}
