import type { Reservation } from '@astrago/api';
import { answer, type CommandContext } from '../context.ts';
import { usageFailure } from '../failure.ts';
import { humanDate } from '../show/human-time.ts';
import { tableOfKnown } from '../show/table.ts';

export interface ReserveInput {
  readonly name: string;
  readonly workspace: string;
  readonly nodes?: readonly string[];
  readonly count?: number;
  readonly model?: string;
  /** ms since the epoch. */
  readonly from?: number;
  /** Seconds from now. */
  readonly in?: number;
  /** Seconds. */
  readonly for: number;
}

export async function reserve(context: CommandContext, input: ReserveInput): Promise<void> {
  const { workspace, nodes, count, model } = input;
  if ((nodes === undefined) === (count === undefined))
    throw usageFailure('Which nodes, or how many?', 'Give --nodes or --count, not both.');
  if (model !== undefined && count === undefined)
    throw usageFailure('--model says of what kind --count nodes are.', 'Give --count as well.');
  if (input.from !== undefined && input.in !== undefined)
    throw usageFailure('--from and --in both say when it begins.', 'Give one of them, or neither to begin now.');
  const client = await context.connect();
  const fromMs = input.from ?? context.clock.nowMs() + 1000 * (input.in ?? 0);
  const made = await client.putReservation({
    params: { reservation: input.name },
    body: { workspace, nodes: nodes === undefined ? undefined : [...nodes], count, model, fromMs, untilMs: fromMs + 1000 * input.for },
  });
  answer(context, made, () => [`${reservationTable([made])}`, ...wayText(made, context.clock.nowMs())].join('\n'));
}

export async function reservations(context: CommandContext): Promise<void> {
  const client = await context.connect();
  const list = await client.listReservations();
  answer(context, list, () => (list.items.length === 0 ? 'Nothing is reserved.' : reservationTable(list.items)));
}

export async function unreserve(context: CommandContext, name: string): Promise<void> {
  const client = await context.connect();
  const gone = await client.cancelReservation({ params: { reservation: name } });
  answer(
    context,
    gone,
    () => `${gone.name} is cancelled: ${gone.nodes.join(', ')} ${gone.nodes.length === 1 ? 'is' : 'are'} for all again`,
  );
}

function reservationTable(items: readonly Reservation[]): string {
  return tableOfKnown(
    ['RESERVATION', 'WORKSPACE', 'NODES', 'FROM', 'UNTIL', 'IN THE WAY'],
    items.map(({ name, workspace, nodes, fromMs, untilMs, inTheWay }) => [
      name,
      workspace,
      nodes.join(','),
      humanDate(fromMs),
      humanDate(untilMs),
      inTheWay.map(({ workload }) => workload).join(','),
    ]),
    ['IN THE WAY'],
  );
}

/** What has to be waited for, or stopped, before the nodes are free. */
function wayText({ inTheWay, fromMs }: Reservation, nowMs: number): readonly string[] {
  if (inTheWay.length === 0) return [];
  const lines = inTheWay.map(({ workload, workspace, node, expectedEndMs }) => {
    const end = expectedEndMs === undefined ? 'has not said when it ends' : `is expected to end ${humanDate(expectedEndMs)}`;
    return `  ${workload} of ${workspace} on ${node} ${end}`;
  });
  return ['', `${fromMs <= nowMs ? 'Still running there' : 'May still run there when it begins'}:`, ...lines];
}
