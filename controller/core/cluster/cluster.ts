import type { AllocationId, GpuUuid, NodeName, ReservationName, WorkloadId, WorkspaceName } from '@astrago/shared/domain/ids';
import { invariant } from '@astrago/shared/domain/invariant';
import type { Layout } from '@astrago/shared/domain/mig/layout';
import { addUnits, noUnits, type SliceUnits } from '@astrago/shared/domain/units';
import { Asked } from './asked.ts';
import type { Change, Observation } from './change.ts';
import { gangKey } from './gangs.ts';
import { NodeUse } from './node-use.ts';
import type { ObservedGpu, ObservedNode } from './observed.ts';
import { Queue } from './queue.ts';
import {
  type AllocationRecord,
  hasEnded,
  type LayoutRecord,
  type NodeRecord,
  type PoolRecord,
  type ReservationRecord,
  type WorkloadRecord,
  type WorkspaceRecord,
} from './records.ts';
import { offersTheSame, sharing } from './report.ts';
import { roundUnits } from './share.ts';

const nothingUsed = new NodeUse();

/**
 * The working set: all live workloads, allocations, layouts, nodes and workspaces, with the indexes that a
 * decision reads. Ended workloads are not here once they are forgotten; they are read from the database.
 *
 * Every mutation goes through {@link apply} and leaves its inverse on a trail, so that {@link attempt} can try
 * anything on the real cluster and leave it as it was.
 */
export class Cluster {
  readonly workloads = new Map<WorkloadId, WorkloadRecord>();
  readonly allocations = new Map<AllocationId, AllocationRecord>();
  readonly layouts = new Map<GpuUuid, LayoutRecord>();
  readonly nodes = new Map<NodeName, NodeRecord>();
  readonly workspaces = new Map<WorkspaceName, WorkspaceRecord>();
  readonly reservations = new Map<ReservationName, ReservationRecord>();
  /** By model; one that was never set is not here. */
  readonly pools = new Map<string, PoolRecord>();
  readonly observed = new Map<NodeName, ObservedNode>();
  readonly asked = new Asked();

  readonly #queued = new Queue();
  readonly #stoppable = new Map<WorkspaceName, Set<WorkloadId>>();
  /** Placed work that said how long it runs. */
  readonly #timed = new Set<WorkloadId>();
  /** Workloads that were stopped to make room, and run or queue again. */
  readonly #evicted = new Set<WorkloadId>();
  readonly #gangs = new Map<string, Set<WorkloadId>>();
  readonly #gpus = new Map<GpuUuid, ObservedGpu>();
  readonly #allocationsByWorkload = new Map<WorkloadId, Set<AllocationId>>();
  readonly #allocationsByNode = new Map<NodeName, Set<AllocationId>>();
  readonly #usedByWorkspace = new Map<WorkspaceName, SliceUnits>();
  readonly #uses = new Map<NodeName, NodeUse>();
  readonly #trail: (() => void)[] = [];
  #trials = 0;
  readonly #trialWatchers: (() => void)[] = [];
  readonly #borrowed = new Set<AllocationId>();
  readonly #allocationWatchers: ((allocation: AllocationRecord, sign: 1 | -1) => void)[] = [];
  readonly #watchers: ((node: NodeName) => void)[] = [];

  /** Grows with every change of workspaces or of what there is to share out. */
  quotaRevision = 0;

  /** Grows with every change; equal revisions mean an equal cluster. */
  revision = 0;

  apply(change: Change | Observation): void {
    const undo = this.#mutate(change);
    this.revision += 1;
    this.#trail.push(undo);
  }

  /** A point to come back to with {@link undoTo}. */
  mark(): number {
    return this.#trail.length;
  }

  undoTo(mark: number): void {
    while (this.#trail.length > mark) {
      this.#trail.pop()?.();
      this.revision += 1;
    }
  }

  /** Makes what was done since the mark final. Only for the outermost owner of the cluster. */
  keep(): void {
    this.#trail.length = 0;
  }

  /** Something is being tried: what the cluster shows may be undone. */
  get isTrying(): boolean {
    return this.#trials > 0;
  }

  /** Runs `trial` and leaves the cluster as it was, whatever it did. */
  attempt<T>(trial: () => T): T {
    const mark = this.mark();
    const revision = this.revision;
    this.#trials += 1;
    try {
      return trial();
    } finally {
      this.undoTo(mark);
      this.revision = revision;
      this.#trials -= 1;
      if (this.#trials === 0) for (const ended of this.#trialWatchers) ended();
    }
  }

  /** Queued work in the order in which it is looked at, see `byRank`. */
  queue(): readonly WorkloadRecord[] {
    return this.#queued.inOrder();
  }

  /** The live members of the gang of a workload, itself among them; only itself where it runs alone. */
  gangOf(workload: WorkloadRecord): readonly WorkloadRecord[] {
    const key = gangKey(workload);
    if (key === undefined) return [workload];
    return [...(this.#gangs.get(key) ?? [])].map((id) => this.#require(id)).sort((a, b) => a.sequence - b.sequence);
  }

  /** What of a workspace runs and may be interrupted. */
  stoppableOf(workspace: WorkspaceName): readonly WorkloadRecord[] {
    return [...(this.#stoppable.get(workspace) ?? [])].map((id) => this.#require(id));
  }

  /** Whether it is known of anything that is placed when it will end. */
  get hasKnownEnds(): boolean {
    return this.#timed.size > 0;
  }

  /** Live workloads that made room for others at some time, or are about to. */
  evicted(): readonly WorkloadRecord[] {
    return [...this.#evicted].map((id) => this.#require(id));
  }

  get queuedCount(): number {
    return this.#queued.count;
  }

  gpu(uuid: GpuUuid): ObservedGpu | undefined {
    return this.#gpus.get(uuid);
  }

  /** All GPUs of all nodes that have reported, by node and index. */
  gpus(): readonly ObservedGpu[] {
    return [...this.observed.values()].flatMap((node) => node.gpus);
  }

  allocationsOnGpu(gpu: GpuUuid): readonly AllocationRecord[] {
    const node = this.#gpus.get(gpu)?.node;
    // Of a node that is not observed it is not known which GPUs it has.
    const held = node === undefined ? [...this.allocations.values()] : this.allocationsOnNode(node);
    return held.filter(({ devices }) => devices.some((device) => device.gpu === gpu));
  }

  allocationsOnNode(node: NodeName): readonly AllocationRecord[] {
    return this.#resolve(this.#allocationsByNode.get(node));
  }

  /** Of one workload: its own, and one that is still ending. */
  allocationsOf(workload: WorkloadId): readonly AllocationRecord[] {
    return this.#resolve(this.#allocationsByWorkload.get(workload));
  }

  /** What is held of a node. */
  useOf(node: NodeName): Pick<NodeUse, 'cpuMilli' | 'memoryMiB' | 'ofGpu'> {
    return this.#uses.get(node) ?? nothingUsed;
  }

  /** Told of every node about which anything has changed, or was undone. For what is derived from the cluster. */
  watch(changed: (node: NodeName) => void): void {
    this.#watchers.push(changed);
  }

  /** Told when all that was tried is undone. */
  watchTrials(ended: () => void): void {
    this.#trialWatchers.push(ended);
  }

  /** Told of every allocation that comes (1) or goes (-1), also when that is undone. For what is counted along. */
  watchAllocations(changed: (allocation: AllocationRecord, sign: 1 | -1) => void): void {
    this.#allocationWatchers.push(changed);
  }

  /** What is beyond the guarantee of its workspace. */
  borrowed(): readonly AllocationRecord[] {
    return this.#resolve(this.#borrowed);
  }

  usedBy(workspace: WorkspaceName): SliceUnits {
    return this.#usedByWorkspace.get(workspace) ?? noUnits;
  }

  /** Another program manages MIG on the node of this GPU: what it shows is what there is. */
  isCutByOther(gpu: ObservedGpu): boolean {
    return this.observed.get(gpu.node)?.conditions.some(({ kind }) => kind === 'other-mig-manager') === true;
  }

  /** What is ordered for a GPU, or else what it shows. */
  layoutOf(gpu: ObservedGpu): Layout {
    const ordered = this.layouts.get(gpu.uuid);
    if (ordered !== undefined && !this.isCutByOther(gpu)) return ordered.layout;
    return gpu.migEnabled ? { kind: 'mig', slices: gpu.slices.map(({ profile, start }) => ({ profile, start })) } : { kind: 'whole' };
  }

  #require(id: WorkloadId): WorkloadRecord {
    const record = this.workloads.get(id);
    invariant(record !== undefined, `workload ${id} exists`);
    return record;
  }

  #resolve(ids: ReadonlySet<AllocationId> | undefined): readonly AllocationRecord[] {
    if (ids === undefined) return [];
    return [...ids].flatMap((id) => this.allocations.get(id) ?? []);
  }

  #mutate(change: Change | Observation): () => void {
    switch (change.kind) {
      case 'workload':
        return this.#setWorkload(change.record.id, change.record);
      case 'allocation':
        return this.#setAllocation(change.record.id, change.record);
      case 'allocation-released':
        return this.#setAllocation(change.id, undefined);
      case 'layout':
        return this.#setLayout(change.record.gpu, change.record);
      case 'layout-forgotten':
        return this.#setLayout(change.gpu, undefined);
      case 'node':
        return this.#setNode(change.record.name, change.record);
      case 'workspace':
        return this.#setWorkspace(change.record.name, change.record);
      case 'reservation':
        return set(this.reservations, change.record.name, change.record);
      case 'reservation-cancelled':
        return set(this.reservations, change.name, undefined);
      case 'pool':
        return set(this.pools, change.record.model, change.record);
      case 'observed-node':
        return this.#setObserved(change.node.name, change.node);
      case 'observed-node-gone':
        return this.#setObserved(change.name, undefined);
      default:
        return change satisfies never;
    }
  }

  #tell(node: NodeName | undefined): void {
    if (node !== undefined) for (const watcher of this.#watchers) watcher(node);
  }

  #setWorkspace(name: WorkspaceName, next: WorkspaceRecord | undefined): () => void {
    const before = this.workspaces.get(name);
    set(this.workspaces, name, next);
    this.quotaRevision += 1;
    return () => void this.#setWorkspace(name, before);
  }

  #setLayout(gpu: GpuUuid, next: LayoutRecord | undefined): () => void {
    const before = this.layouts.get(gpu);
    set(this.layouts, gpu, next);
    this.#tell(next?.node ?? before?.node);
    return () => void this.#setLayout(gpu, before);
  }

  #setNode(name: NodeName, next: NodeRecord | undefined): () => void {
    const before = this.nodes.get(name);
    set(this.nodes, name, next);
    this.#tell(name);
    return () => void this.#setNode(name, before);
  }

  #setWorkload(id: WorkloadId, next: WorkloadRecord): () => void {
    const before = this.workloads.get(id);
    this.#putWorkload(id, next);
    const unask = before === undefined && next.phase === 'queued' ? this.asked.add(next) : undefined;
    return () => {
      this.#putWorkload(id, before);
      unask?.();
    };
  }

  #putWorkload(id: WorkloadId, next: WorkloadRecord | undefined): void {
    const before = this.workloads.get(id);
    // An ended workload without an allocation has nothing left to decide about.
    const live = next === undefined || hasEnded(next.phase) ? undefined : next;
    set(this.workloads, id, live);
    const isStoppable = live?.interruptible !== undefined && (live.phase === 'running' || live.phase === 'starting');
    if (before !== undefined && !isStoppable) toggle(this.#stoppable, before.workspace, id, false);
    if (isStoppable) toggle(this.#stoppable, live.workspace, id, true);
    if (live?.expectedSeconds !== undefined && live.phase !== 'queued') this.#timed.add(id);
    else this.#timed.delete(id);
    if (live?.eviction === undefined) this.#evicted.delete(id);
    else this.#evicted.add(id);
    const left = before === undefined ? undefined : gangKey(before);
    const joined = live === undefined ? undefined : gangKey(live);
    if (left !== undefined) toggle(this.#gangs, left, id, false);
    if (joined !== undefined) toggle(this.#gangs, joined, id, true);
    if (before?.phase === 'queued') this.#queued.remove(before);
    if (next?.phase === 'queued') this.#queued.add(next);
  }

  #setAllocation(id: AllocationId, next: AllocationRecord | undefined): () => void {
    const before = this.allocations.get(id);
    this.#putAllocation(id, next);
    const unend = next === undefined && (before?.devices.length ?? 0) > 0 ? this.asked.end() : undefined;
    return () => {
      this.#putAllocation(id, before);
      unend?.();
    };
  }

  #putAllocation(id: AllocationId, next: AllocationRecord | undefined): void {
    const before = this.allocations.get(id);
    if (before !== undefined) this.#index(before, false);
    set(this.allocations, id, next);
    if (next !== undefined) this.#index(next, true);
  }

  #index(record: AllocationRecord, add: boolean): void {
    toggle(this.#allocationsByNode, record.node, record.id, add);
    toggle(this.#allocationsByWorkload, record.workload, record.id, add);
    const use = this.#uses.get(record.node) ?? new NodeUse();
    this.#uses.set(record.node, use);
    if (add) use.add(record);
    else use.remove(record);
    if (add && record.borrowed === true) this.#borrowed.add(record.id);
    else this.#borrowed.delete(record.id);
    const sign = add ? 1 : -1;
    for (const watcher of this.#allocationWatchers) watcher(record, sign);
    const used = addUnits(this.usedBy(record.workspace), { compute: sign * record.units.compute, memory: sign * record.units.memory });
    this.#usedByWorkspace.set(record.workspace, roundUnits(used));
    this.#tell(record.node);
  }

  #setObserved(name: NodeName, next: ObservedNode | undefined): () => void {
    const before = this.observed.get(name);
    const shown = next === undefined || before === undefined ? next : sharing(before, next);
    set(this.observed, name, shown);
    if (shown?.gpus !== before?.gpus) {
      for (const gpu of before?.gpus ?? []) this.#gpus.delete(gpu.uuid);
      for (const gpu of shown?.gpus ?? []) this.#gpus.set(gpu.uuid, gpu);
    }
    if (!hasSameCapacity(before, shown)) this.quotaRevision += 1;
    if (shown === undefined || before === undefined || !offersTheSame(before, shown)) this.#tell(name);
    return () => void this.#setObserved(name, before);
  }
}

function hasSameCapacity(one: ObservedNode | undefined, other: ObservedNode | undefined): boolean {
  if (one?.cpuMilli !== other?.cpuMilli || one?.memoryMiB !== other?.memoryMiB || one?.gpus.length !== other?.gpus.length) return false;
  return one?.gpus.every(({ uuid, model }, at) => other?.gpus[at]?.uuid === uuid && other.gpus[at]?.model === model) ?? true;
}

function set<K, V>(map: Map<K, V>, key: K, value: V | undefined): () => void {
  const before = map.get(key);
  if (value === undefined) map.delete(key);
  else map.set(key, value);
  return () => void set(map, key, before);
}

function toggle<K, V>(index: Map<K, Set<V>>, key: K, value: V, add: boolean): void {
  const members = index.get(key) ?? new Set<V>();
  if (add) members.add(value);
  else members.delete(value);
  if (members.size === 0) index.delete(key);
  else index.set(key, members);
}
