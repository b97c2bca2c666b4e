import { answer, type CommandContext } from '../context.ts';
import { table } from '../show/table.ts';
import type { NamedInput } from './describe.ts';

export async function why(context: CommandContext, input: NamedInput): Promise<void> {
  const client = await context.connect();
  const told = await client.whyWorkload({ params: { workload: input.name }, query: { workspace: input.workspace } });
  answer(context, told, () => {
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
  });
}
