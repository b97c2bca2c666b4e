import { allPages } from '../all-pages.ts';
import { answer, type CommandContext } from '../context.ts';
import { askText, placeText } from '../show/ask.ts';
import { humanAge } from '../show/human-time.ts';
import { table } from '../show/table.ts';

export interface PsInput {
  readonly all?: boolean;
  readonly workspace?: string;
  readonly limit: number;
}

export async function ps(context: CommandContext, input: PsInput): Promise<void> {
  const client = await context.connect();
  const { items, complete } = await allPages(
    (cursor) =>
      client.listWorkloads({
        query: { limit: Math.min(500, input.limit), cursor, workspace: input.workspace, phase: input.all === true ? undefined : 'live' },
      }),
    input.limit,
  );
  answer(context, { items, complete }, () => {
    if (items.length === 0)
      return input.all === true ? 'No workload was submitted yet.' : 'No workload is live. Those that ended: astrago ps --all.';
    const now = context.clock.nowMs();
    return table(
      ['WORKLOAD', 'WORKSPACE', 'PHASE', 'ASK', 'WHERE', 'AGE', 'EXIT', 'REASON'],
      items.map((workload) => [
        workload.name,
        workload.workspace,
        workload.phase,
        askText(workload),
        placeText(workload),
        humanAge(workload.submittedAtMs, now),
        workload.exitCode,
        workload.reason,
      ]),
    );
  });
  if (!complete) context.terminal.remark(`There are more than ${input.limit}; see them with --limit.`);
}
