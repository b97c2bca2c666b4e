// The answer in words: first what it waits for, then what was found, then what would help most.
import type { Cluster } from '../cluster/cluster.ts';
import type { WorkloadRecord } from '../cluster/records.ts';
import type { WaitingReason } from '../reason.ts';
import type { ReasonCounts } from './census.ts';
import type { Remedy } from './remedy.ts';
import { counted, memory } from './words.ts';

export interface GangRoom {
  readonly members: number;
  /** So many of them start, or none does. */
  readonly least: number;
  /** Members that would find room now, each for itself. */
  readonly places: number;
  /** Nodes that could take a member now. */
  readonly nodes: number;
}

export interface Found {
  readonly reason: WaitingReason;
  readonly reasons: ReasonCounts;
  /** So many queued workloads are looked at before it. */
  readonly before: number;
  readonly gang: GangRoom | undefined;
  readonly remedies: readonly Remedy[];
  /** A reason in words. */
  readonly textOf: (reason: WaitingReason) => string;
}

/** Remedies that stand in the sentence; the others are listed beside it. */
const remediesMax = 2;

export function sentenceFor(cluster: Cluster, workload: WorkloadRecord, found: Found): string {
  const { reason, before, gang, remedies, textOf } = found;
  return [
    `${workload.name} waits for ${askText(workload)}: ${textOf(reason)}.`,
    ...evictedText(cluster, workload),
    ...gangText(workload, gang),
    ...countsText(cluster, workload, found),
    ...(before === 0 ? [] : [`${counted(before, 'workload')} before it in the queue ${before === 1 ? 'goes' : 'go'} first.`]),
    helpText(remedies),
  ].join(' ');
}

function evictedText(cluster: Cluster, { eviction }: WorkloadRecord): readonly string[] {
  if (eviction === undefined) return [];
  const whom = cluster.workloads.get(eviction.beneficiary)?.name ?? eviction.beneficiary;
  return [`It was stopped to make room for ${whom} (${eviction.cause}) and queues again.`];
}

function gangText({ ask }: WorkloadRecord, gang: GangRoom | undefined): readonly string[] {
  if (gang === undefined) return [];
  const each = ask.kind === 'whole' ? `${gang.least} x ${counted(ask.count, 'GPU')}` : `${gang.least} of ${gang.members} members`;
  const now =
    gang.nodes === 0
      ? 'no node could take a member now'
      : `${counted(gang.nodes, 'node')} could take ${gang.places === 1 ? 'a member' : `${Math.min(gang.places, gang.members)} members`} now`;
  return [`It needs ${each} at once, and ${now}.`];
}

function countsText(cluster: Cluster, workload: WorkloadRecord, { reason, reasons, textOf }: Found): readonly string[] {
  const [what, all] = workload.ask.kind === 'none' ? (['node', cluster.observed.size] as const) : (['GPU', cluster.gpus().length] as const);
  const about = [...reasons].filter(([counted]) => !notOfGpus.has(counted));
  if (about.length === 0) return [];
  const own = reasons.get(reason);
  const others = about
    .filter(([one]) => one !== reason)
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .map(([one, count]) => `${count}: ${textOf(one)}`);
  const looked = `${counted(all, what)} looked at`;
  if (own === undefined || notOfGpus.has(reason)) return [`Of ${looked}, ${others.join('; ')}.`];
  const so = own === all ? `That is so for ${all === 1 ? 'the' : 'all'} ${looked}` : `That is so for ${own} of ${looked}`;
  return [`${[so, ...others].join('; ')}.`];
}

/** Reasons that are about the ask as a whole. */
const notOfGpus: ReadonlySet<WaitingReason> = new Set<WaitingReason>([
  'ExceedsMaxQuota',
  'WaitingForQuota',
  'WaitingForGuarantee',
  'WaitingForBudget',
  'WaitingForGang',
  'LocalityUnmet',
  'RoomIsKept',
  'RoomIsMade',
  'NoNodes',
  'PendingEvaluation',
]);

function helpText(remedies: readonly Remedy[]): string {
  const told = remedies.slice(0, remediesMax).map(({ text }) => text);
  return told.length === 0 ? 'No single change that was tried would make it fit.' : `It ${told.join(', or it ')}.`;
}

function askText({ ask, model }: WorkloadRecord): string {
  const of = model === undefined ? '' : ` of model ${model}`;
  switch (ask.kind) {
    case 'none':
      return 'a node';
    case 'whole':
      return `${counted(ask.count, 'whole GPU')}${of}${ask.count === 1 ? '' : ' on one node'}`;
    case 'slice':
      return (ask.count ?? 1) === 1 ? `a ${ask.profile} slice${of}` : `${ask.count} ${ask.profile} slices${of} on one node`;
    case 'least': {
      const size = `with at least ${memory(ask.memoryMiB)} and ${counted(ask.computeSlices, 'compute slice')}`;
      return ask.count === 1 ? `a slice${of} ${size}` : `${ask.count} slices${of} on one node ${size}`;
    }
    case 'share':
      return `${ask.milli / 10} % of a GPU${of} by ${ask.by === 'mps' ? 'MPS' : 'time slices'}`;
    default:
      return ask satisfies never;
  }
}
