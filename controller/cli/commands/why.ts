import type { Gang, Why } from '@astrago/api';
import { answer, type CommandContext } from '../context.ts';
import { table } from '../show/table.ts';
import type { NamedInput } from './describe.ts';
import { gangLine, gangSize, workloadOrGang } from './gang.ts';

export async function why(context: CommandContext, input: NamedInput): Promise<void> {
  const client = await context.connect();
  const query = { workspace: input.workspace };
  const whyOf = (workload: string): Promise<Why> => client.whyWorkload({ params: { workload }, query });
  const told = await workloadOrGang(
    async () => ({ why: await whyOf(input.name) }),
    async (): Promise<{ readonly gang: Gang; readonly why: Why | undefined }> => {
      const gang = await client.getGang({ params: { gang: input.name }, query });
      // They ask for the same, so one that waits speaks for all that do.
      const waiting = gang.items.find((member) => member.phase === 'queued') ?? gang.items[0];
      return { gang, why: waiting === undefined ? undefined : await whyOf(waiting.id) };
    },
  );
  if (!('gang' in told)) return answer(context, told.why, () => whyText(told.why));
  const { gang } = told;
  answer(context, told, () => {
    const first = `${gangLine(gang)} (${gangSize(gang)}).`;
    return told.why === undefined ? first : `${first}\n\n${whyText(told.why)}`;
  });
}

function whyText(told: Why): string {
  const parts = [told.sentence];
  if (told.counts.length > 0)
    parts.push(
      table(
        ['COUNT', 'REASON', 'WHICH MEANS'],
        told.counts.map((entry) => [entry.count, entry.reason, entry.text]),
      ),
    );
  if (told.remedies.length > 0) parts.push(['It fits after:', ...told.remedies.map((remedy) => `  - ${remedy.text}`)].join('\n'));
  return parts.join('\n\n');
}
