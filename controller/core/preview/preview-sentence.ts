// The difference in words: what is stopped first, since that is what somebody may not want.
import { counted, cpus, listed, memory, shortened } from '../explain/words.ts';
import type { Obstacle } from '../scheduling/decision.ts';
import type { NamedWork, Preview, Started, Stopped, Told, WaitsOtherwise } from './difference.ts';
import type { Dimension, OverCommitment } from './over-commitment.ts';

/** So many of one workspace are named; of more it is said how many there are. */
const namesMax = 3;
/** So many groups are told apart; more are counted together. */
const groupsMax = 2;

export function previewSentence(found: Omit<Preview, 'sentence'>): string {
  const { stopped, spared, started, heldBack, borrowed, owned, waitsOtherwise, overCommitted, goesOn } = found;
  const parts = [
    ...stoppedText(stopped),
    ...groupText(spared, 'would no longer be stopped'),
    ...startedText(started),
    ...groupText(heldBack, 'would no longer start'),
    ...groupText(borrowed, 'would count as borrowed'),
    ...groupText(owned, 'would no longer count as borrowed'),
    ...waitsText(waitsOtherwise),
    ...(goesOn ? ['more would follow, further ahead than was looked'] : []),
    ...overText(overCommitted),
  ];
  return parts.length === 0 ? 'Nothing that runs or waits now would fare otherwise.' : `${parts.join('; ')}.`;
}

function stoppedText({ count, items }: Told<Stopped>): readonly string[] {
  const groups = Map.groupBy(items, ({ workspace, beneficiary }) => `${workspace} ${beneficiary.id}`);
  const again = items.filter(({ startsAgain }) => startsAgain).length;
  const after = again === 0 || count > items.length ? [] : [`${count === 1 ? 'it' : `${again} of them`} would start again right after`];
  if (groups.size > groupsMax || count > items.length) {
    const others = new Set(items.map(({ beneficiary }) => beneficiary.id)).size;
    return [
      `${counted(count, 'running workload')} of ${workspacesOf(items)} would be stopped for ${countedOf(others, count > items.length)}`,
      ...after,
    ];
  }
  return [
    ...[...groups.values()].flatMap((group) => {
      const beneficiary = group[0]?.beneficiary;
      return beneficiary === undefined ? [] : [`${namesOf(group)} would be stopped for ${beneficiary.name} of ${beneficiary.workspace}`];
    }),
    ...after,
  ];
}

function countedOf(others: number, isPart: boolean): string {
  return isPart ? 'others' : counted(others, 'waiting workload');
}

function startedText({ count, items }: Told<Started>): readonly string[] {
  if (count === 0) return [];
  const later = items.filter(({ afterStops }) => afterStops).length;
  const text = `${counted(count, 'waiting workload')} would start`;
  if (later === 0 || count > items.length) return [text];
  return [`${text}, ${later === count ? (count === 1 ? 'once' : 'all once') : `${later} of them once`} what is stopped has ended`];
}

function groupText({ count, items }: Told<NamedWork>, would: string): readonly string[] {
  if (count === 0) return [];
  const groups = [...Map.groupBy(items, ({ workspace }) => workspace).values()];
  if (groups.length > groupsMax || count > items.length) return [`${counted(count, 'workload')} of ${workspacesOf(items)} ${would}`];
  return [`${listed(groups.map(namesOf), 'and')} ${would}`];
}

const obstacleTexts = {
  limit: 'their limit',
  guarantee: 'what is guaranteed to others',
  budget: 'their budget',
  room: 'room',
  kept: 'room that is kept for others',
  evicting: 'room that is being made',
} as const satisfies Readonly<Record<Obstacle, string>>;

function waitsText({ count, items }: Told<WaitsOtherwise>): readonly string[] {
  const [first] = items;
  if (first === undefined) return [];
  const { before, after } = first;
  const areAlike = count === items.length && items.every((one) => one.before === before && one.after === after);
  const what = areAlike ? `${obstacleTexts[after]} instead of ${obstacleTexts[before]}` : 'something else than now';
  return [`${counted(count, 'waiting workload')} would wait for ${what}`];
}

function namesOf(group: readonly NamedWork[]): string {
  const names = shortened(
    group.map(({ name }) => name),
    namesMax,
  );
  return `${names} of ${group[0]?.workspace ?? ''}`;
}

function workspacesOf(items: readonly NamedWork[]): string {
  return shortened([...new Set(items.map(({ workspace }) => workspace))], namesMax);
}

function overText({ count, items }: Told<OverCommitment>): readonly string[] {
  const texts = items.slice(0, groupsMax).map(({ kind, workspace, dimension, amount, bound }) => {
    const [used, most] = [amountText(dimension, amount), amountText(dimension, bound)];
    if (kind === 'guarantees') return `all guarantees together would be ${used}, and there are ${most}`;
    return `${workspace ?? 'the organisation'} would hold ${used}, above its limit of ${most}`;
  });
  return count > groupsMax ? [...texts, `${count - groupsMax} more amounts would be beyond their bounds`] : texts;
}

function amountText({ resource, model }: Dimension, amount: number): string {
  const of = model === undefined ? '' : ` of ${model}`;
  switch (resource) {
    case 'compute':
      return `${counted(amount, 'compute slice')}${of}`;
    case 'memory':
      return `${counted(amount, 'memory slice')}${of}`;
    case 'cpuMilli':
      return cpus(amount);
    case 'memoryMiB':
      return `${memory(amount)} of main memory`;
    default:
      return resource satisfies never;
  }
}
