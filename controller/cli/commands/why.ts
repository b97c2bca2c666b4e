import type { Gang, Remedy, Why } from '@astrago/api';
import { answer, type CommandContext } from '../context.ts';
import { humanClock } from '../show/human-time.ts';
import { table } from '../show/table.ts';
import type { NamedInput } from './describe.ts';
import { gangLine, gangSize, workloadOrGang } from './gang.ts';

export interface WhyInput extends NamedInput {
  readonly trace?: boolean;
}

export async function why(context: CommandContext, input: WhyInput): Promise<void> {
  const client = await context.connect();
  const query = { workspace: input.workspace };
  const trace = input.trace === true ? 'true' : 'false';
  const whyOf = (workload: string): Promise<Why> => client.whyWorkload({ params: { workload }, query: { ...query, trace } });
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
  if (told.remedies.length > 0) parts.push(['What would help:', ...told.remedies.map((remedy) => `  - ${remedyText(remedy)}`)].join('\n'));
  if (told.trace !== undefined) parts.push(...traceText(told.trace));
  return parts.join('\n\n');
}

/** Times in the zone of the reader, and the command that does it, where one does. */
function remedyText(remedy: Remedy): string {
  const command = commandFor(remedy);
  const text = remedy.kind === 'wait-ends' ? remedy.text.replace(/\(\d\d:\d\d UTC\)/, `(${humanClock(remedy.atMs)})`) : remedy.text;
  return command === undefined ? text : `${text}: ${command}`;
}

function commandFor(remedy: Remedy): string | undefined {
  switch (remedy.kind) {
    case 'uncordon':
      return remedy.nodes.length === 1 ? `astrago uncordon ${remedy.nodes[0]}` : undefined;
    case 'repartition': {
      const [gpu, ...more] = remedy.gpus;
      return gpu === undefined || more.length > 0 ? undefined : `astrago partition ${gpu.node}/${gpu.index} --layout ${gpu.layout}`;
    }
    default:
      return undefined;
  }
}

function traceText({ candidates, rejected, candidateNodes, rejectedNodes }: NonNullable<Why['trace']>): readonly string[] {
  const parts = [`${candidateNodes} nodes could take it, ${rejectedNodes} could not; places only, without limits and the queue.`];
  if (candidates.length > 0)
    parts.push(
      table(
        ['CANDIDATE', 'TIER', 'SCORE', 'GPUS', 'ORDERED FIRST'],
        candidates.map((one) => [one.node, one.tier, one.score, one.devices.join(', '), one.layouts.join('; ')]),
      ),
    );
  if (rejected.length > 0)
    parts.push(
      table(
        ['REJECTED', 'REASON', 'COUNTS'],
        rejected.map((one) => [one.node, one.reason, one.counts.map(({ reason, count }) => `${count} ${reason}`).join(', ')]),
      ),
    );
  return parts;
}
