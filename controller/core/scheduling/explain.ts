// Why a workload waits, counted, and what would make it fit. Every remedy named was tried on the cluster and undone.
import type { WorkloadId } from '@astrago/shared/domain/ids';
import { addUnits } from '@astrago/shared/domain/units';
import type { Cluster } from '../cluster/cluster.ts';
import type { AllocationRecord, GpuAsk, WorkloadRecord } from '../cluster/records.ts';
import type { WaitingReason } from '../reason.ts';
import { mendings, reasonText } from './ailments.ts';
import { censusOf, primaryReason, type ReasonCounts } from './census.ts';
import { decide } from './decide.ts';
import type { Obstacle } from './decision.ts';
import { trialIds, tryNow } from './fits.ts';
import { applyBind } from './round.ts';

export interface Remedy {
  readonly kind: 'stop' | 'raise-limit' | 'uncordon' | 'unpin' | 'mend' | 'wait-turn';
  readonly text: string;
}

export interface Explanation {
  readonly sentence: string;
  readonly reason: WaitingReason;
  readonly counts: readonly { readonly reason: WaitingReason; readonly count: number; readonly text: string }[];
  readonly remedies: readonly Remedy[];
}

/** `undefined` when there is no such workload in the queue. */
export function explain(cluster: Cluster, id: WorkloadId, nowMs: number): Explanation | undefined {
  const workload = cluster.workloads.get(id);
  if (workload === undefined || workload.phase !== 'queued') return undefined;
  return cluster.attempt(() => {
    if (tryNow(cluster, workload, nowMs).kind === 'bound') giveOthersTheirPlaces(cluster, workload, nowMs);
    const answer = tryNow(cluster, workload, nowMs);
    if (answer.kind === 'bound') {
      const sentence = `${workload.name} has not been looked at yet; there is a place for it on ${answer.binds[0]?.placement.node}`;
      return { sentence, reason: 'PendingEvaluation', counts: [], remedies: [] };
    }
    const reasons = reasonsOf(cluster, workload, answer.obstacle);
    const reason = primaryReason(reasons);
    const counts = [...reasons]
      .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
      .map(([counted, count]) => ({ reason: counted, count, text: reasonText(cluster, workload.model, counted) }));
    const remedies = remediesFor(cluster, workload);
    return { sentence: sentenceFor(cluster, workload, reasons, remedies), reason, counts, remedies };
  });
}

/** Why nothing takes it, by GPU where that is the reason. */
export function reasonsOf(cluster: Cluster, workload: WorkloadRecord, obstacle: Obstacle): ReasonCounts {
  switch (obstacle) {
    case 'limit':
      return new Map([[isAboveLimitAlone(cluster, workload) ? 'ExceedsMaxQuota' : 'WaitingForQuota', 1]]);
    case 'guarantee':
      return new Map([['WaitingForGuarantee', 1]]);
    case 'budget':
      return new Map([['WaitingForBudget', 1]]);
    case 'kept':
      return new Map([['RoomIsKept', 1]]);
    case 'evicting':
      return new Map([['RoomIsMade', 1]]);
    case 'room': {
      const census = censusOf(cluster, workload);
      return census.size === 0 ? new Map([['WaitingForGang', 1]]) : census;
    }
    default:
      return obstacle satisfies never;
  }
}

function isAboveLimitAlone(cluster: Cluster, workload: WorkloadRecord): boolean {
  return cluster.attempt(() => {
    for (const { id, workspace } of [...cluster.allocations.values()])
      if (workspace === workload.workspace) cluster.apply({ kind: 'allocation-released', id });
    const alone = tryNow(cluster, workload, 0);
    return alone.kind === 'no' && alone.obstacle === 'limit';
  });
}

/** What the queue before it takes in this round is not there for it. */
function giveOthersTheirPlaces(cluster: Cluster, workload: WorkloadRecord, nowMs: number): void {
  for (const bind of decide(cluster, { nextAllocationId: trialIds(), nowMs }).binds) {
    const other = cluster.workloads.get(bind.workload);
    if (other !== undefined && other.id !== workload.id) applyBind(cluster, other, bind, nowMs);
  }
}

function fitsAfter(cluster: Cluster, workload: WorkloadRecord, change: () => void): boolean {
  return cluster.attempt(() => {
    change();
    return tryNow(cluster, workload, 0).kind === 'bound';
  });
}

/** More names than this are counted, not listed. */
const namesMax = 8;
/** Holders on one GPU or node beyond which no set is searched. */
const holdersMax = 16;

/** Of more ailing GPUs and nodes than this only the first are tried. */
const mendingsMax = 64;

function remediesFor(cluster: Cluster, workload: WorkloadRecord): readonly Remedy[] {
  return [
    ...stopRemedies(cluster, workload),
    ...limitRemedies(cluster, workload),
    ...nodeRemedies(cluster, workload),
    ...pinRemedies(cluster, workload),
    ...mendRemedies(cluster, workload),
  ];
}

function stopRemedies(cluster: Cluster, workload: WorkloadRecord): readonly Remedy[] {
  const nameOf = (allocation: AllocationRecord): string => cluster.workloads.get(allocation.workload)?.name ?? allocation.workload;
  const release = (allocations: readonly AllocationRecord[]) => () => {
    for (const { id } of allocations) cluster.apply({ kind: 'allocation-released', id });
  };
  const all = [...cluster.allocations.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  // A thousand holders are not tried one by one: the first that help are enough for a person to choose from.
  const single: AllocationRecord[] = [];
  for (const allocation of all.slice(0, 512)) {
    if (fitsAfter(cluster, workload, release([allocation]))) single.push(allocation);
    if (single.length > namesMax) break;
  }
  if (single.length > 0) return [{ kind: 'stop', text: stopText(single.map(nameOf).sort()) }];
  const set = smallestSetOnOneNode(cluster, workload, release);
  if (set === undefined) return [];
  return [{ kind: 'stop', text: `stopping ${list(set.map(nameOf).sort(), 'and')}` }];
}

function stopText(names: readonly string[]): string {
  if (names.length === 1) return `stopping ${names[0]}`;
  return names.length > namesMax
    ? `stopping any one of many, for example ${names.slice(0, 3).join(', ')}`
    : `stopping any one of ${list(names, 'or')}`;
}

function smallestSetOnOneNode(
  cluster: Cluster,
  workload: WorkloadRecord,
  release: (allocations: readonly AllocationRecord[]) => () => void,
): readonly AllocationRecord[] | undefined {
  let best: readonly AllocationRecord[] | undefined;
  for (const group of holderGroups(cluster, workload)) {
    if (group.length === 0 || group.length > holdersMax || !fitsAfter(cluster, workload, release(group))) continue;
    // Drop from the set whoever is not needed in it, the largest first, so that the smallest stay.
    let set = [...group].sort((a, b) => b.units.memory - a.units.memory || (a.id < b.id ? -1 : 1));
    for (const allocation of [...set]) {
      const without = set.filter((other) => other !== allocation);
      if (fitsAfter(cluster, workload, release(without))) set = without;
    }
    if (best === undefined || set.length < best.length) best = set;
  }
  return best;
}

/** By GPU for a slice; by node for whole GPUs and for work without any. */
function holderGroups(cluster: Cluster, workload: WorkloadRecord): readonly (readonly AllocationRecord[])[] {
  if (workload.ask.kind === 'slice') return cluster.gpus().map((gpu) => cluster.allocationsOnGpu(gpu.uuid));
  return [...cluster.observed.keys()].map((node) => cluster.allocationsOnNode(node));
}

function limitRemedies(cluster: Cluster, workload: WorkloadRecord): readonly Remedy[] {
  const record = cluster.workspaces.get(workload.workspace);
  if (record === undefined || (record.limit.compute === undefined && record.limit.memory === undefined)) return [];
  return cluster.attempt(() => {
    cluster.apply({ kind: 'workspace', record: { ...record, limit: { compute: undefined, memory: undefined } } });
    const free = tryNow(cluster, workload, 0);
    if (free.kind === 'no') return [];
    const need = free.binds.reduce((sum, { placement }) => addUnits(sum, placement.units), cluster.usedBy(workload.workspace));
    const parts = [
      ...(record.limit.compute !== undefined && need.compute > record.limit.compute ? [`${need.compute} compute slices`] : []),
      ...(record.limit.memory !== undefined && need.memory > record.limit.memory ? [`${need.memory} memory slices`] : []),
    ];
    return parts.length === 0
      ? []
      : [{ kind: 'raise-limit' as const, text: `raising the limit of workspace ${workload.workspace} to ${list(parts, 'and')}` }];
  });
}

function nodeRemedies(cluster: Cluster, workload: WorkloadRecord): readonly Remedy[] {
  return [...cluster.nodes.values()]
    .filter(
      (node) => node.cordoned && fitsAfter(cluster, workload, () => cluster.apply({ kind: 'node', record: { ...node, cordoned: false } })),
    )
    .slice(0, namesMax)
    .map((node) => ({ kind: 'uncordon', text: `uncordoning node ${node.name}` }));
}

function pinRemedies(cluster: Cluster, workload: WorkloadRecord): readonly Remedy[] {
  return [...cluster.layouts.values()]
    .filter(
      (layout) =>
        layout.pinned && fitsAfter(cluster, workload, () => cluster.apply({ kind: 'layout', record: { ...layout, pinned: false } })),
    )
    .slice(0, namesMax)
    .map((layout) => ({
      kind: 'unpin',
      text: `giving the layout of ${layout.node}/${cluster.gpu(layout.gpu)?.index ?? layout.gpu} back to the scheduler`,
    }));
}

function mendRemedies(cluster: Cluster, workload: WorkloadRecord): readonly Remedy[] {
  return mendings(cluster)
    .slice(0, mendingsMax)
    .filter(({ node }) => fitsAfter(cluster, workload, () => cluster.apply({ kind: 'observed-node', node })))
    .slice(0, namesMax)
    .map(({ text }) => ({ kind: 'mend', text }));
}

function list(names: readonly string[], word: 'and' | 'or'): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} ${word} ${names.at(-1)}`;
}

function askText(workload: WorkloadRecord): string {
  const what = whatText(workload.ask);
  return workload.model === undefined ? what : `${what} of model ${workload.model}`;
}

function whatText(ask: GpuAsk): string {
  switch (ask.kind) {
    case 'none':
      return 'a node';
    case 'whole':
      return `${ask.count} whole GPU${ask.count === 1 ? '' : 's'} on one node`;
    case 'slice':
      return (ask.count ?? 1) === 1 ? `a ${ask.profile} slice` : `${ask.count} ${ask.profile} slices on one node`;
    case 'least': {
      const size = `at least ${ask.memoryMiB} MiB and ${ask.computeSlices} compute slice${ask.computeSlices === 1 ? '' : 's'}`;
      return ask.count === 1 ? `a slice of ${size}` : `${ask.count} slices of ${size} on one node`;
    }
    case 'share':
      return `${ask.milli / 10} % of a GPU by ${ask.by === 'mps' ? 'MPS' : 'time slices'}`;
    default:
      return ask satisfies never;
  }
}

function sentenceFor(cluster: Cluster, workload: WorkloadRecord, reasons: ReasonCounts, remedies: readonly Remedy[]): string {
  const where =
    workload.ask.kind === 'none'
      ? `${cluster.observed.size} node${cluster.observed.size === 1 ? '' : 's'}`
      : `${cluster.gpus().length} GPU${cluster.gpus().length === 1 ? '' : 's'}`;
  const counted = [...reasons]
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .map(([reason, count]) => `${count}: ${reasonText(cluster, workload.model, reason)}`);
  const help =
    remedies.length === 0
      ? 'nothing that can be changed here would make it fit'
      : `it fits after ${remedies.map((remedy) => remedy.text).join(', or after ')}`;
  return `${workload.name} waits for ${askText(workload)}; of ${where} looked at, ${counted.join('; ')}; ${help}.`;
}
