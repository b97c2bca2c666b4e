// Nodes that are kept for somebody, so that what is being freed there is not taken by others in between.
import type { NodeName } from '@astrago/shared/domain/ids';
import type { Cluster } from '../cluster/cluster.ts';
import { gangKey } from '../cluster/gangs.ts';
import type { WorkloadRecord } from '../cluster/records.ts';
import type { Bind } from './decision.ts';
import type { QueuedUnit } from './gang.ts';
import type { Scope } from './scope.ts';

export interface Hold {
  /** Of a workload see {@link ownerOf}; of a workspace its name. */
  readonly owner: string;
  /** Work that ends before may run there until then; absent: it is needed now. */
  readonly fromMs: number | undefined;
  /** GPUs of the node that the owner will not need. */
  readonly spareGpus: number;
  /** Work that may be interrupted can run there meanwhile. */
  readonly lendsToInterruptible: boolean;
}

/** Members of a gang keep nodes together. */
export function ownerOf(workload: Pick<WorkloadRecord, 'id' | 'workspace' | 'gang'>): string {
  return gangKey(workload) ?? workload.id;
}

export class Holds {
  readonly #holds = new Map<NodeName, Hold[]>();
  /** Who waits for room that is being made. */
  readonly beneficiaries = new Set<string>();
  /** Those of them for whom somebody is still ending. */
  readonly #pending = new Set<string>();

  /** What is kept for those for whom others were stopped, and what admins have reserved. */
  constructor(cluster: Cluster, nowMs: number) {
    for (const { eviction, phase } of cluster.evicted()) {
      const beneficiary = eviction === undefined ? undefined : cluster.workloads.get(eviction.beneficiary);
      if (eviction === undefined || beneficiary?.phase !== 'queued') continue;
      // It has started since, and had to go itself: what was promised to it was kept.
      if (beneficiary.eviction !== undefined && beneficiary.eviction.atMs >= eviction.atMs) continue;
      const owner = ownerOf(beneficiary);
      this.beneficiaries.add(owner);
      if (phase === 'stopping') this.#pending.add(owner);
      this.keep(eviction.node, { owner, fromMs: undefined, spareGpus: 0, lendsToInterruptible: false });
    }
    for (const { workspace, nodes, fromMs, untilMs } of cluster.reservations.values()) {
      if (untilMs <= nowMs) continue;
      const hold = { owner: workspace, fromMs: fromMs <= nowMs ? undefined : fromMs, spareGpus: 0, lendsToInterruptible: true };
      for (const node of nodes) this.keep(node, hold);
    }
  }

  isPromised({ members: [first] }: QueuedUnit): boolean {
    return this.beneficiaries.size > 0 && first !== undefined && this.beneficiaries.has(ownerOf(first));
  }

  /** Somebody is still ending for the unit. */
  isPending({ members: [first] }: QueuedUnit): boolean {
    return first !== undefined && this.#pending.has(ownerOf(first));
  }

  /** All have ended, and it does not fit all the same: it waits as others do, and nothing is kept for it. */
  giveUp({ members: [first] }: QueuedUnit): void {
    const owner = first === undefined ? '' : ownerOf(first);
    this.beneficiaries.delete(owner);
    for (const [node, holds] of this.#holds) {
      const left = holds.filter((hold) => hold.owner !== owner);
      if (left.length === 0) this.#holds.delete(node);
      else this.#holds.set(node, left);
    }
  }

  keep(node: NodeName, hold: Hold): void {
    const holds = this.#holds.get(node) ?? [];
    this.#holds.set(node, holds);
    if (!holds.some(({ owner, fromMs }) => owner === hold.owner && fromMs === hold.fromMs)) holds.push(hold);
  }

  /** Where a workload may go; `undefined` where nothing is kept from it. */
  scopeFor(workload: WorkloadRecord, nowMs: number): Scope | undefined {
    if (this.#holds.size === 0) return undefined;
    const owner = ownerOf(workload);
    const endsMs = workload.expectedSeconds === undefined ? undefined : nowMs + 1000 * workload.expectedSeconds;
    const gpus = workload.ask.kind === 'whole' ? workload.ask.count : workload.ask.kind === 'none' ? 0 : 1;
    const isKept = (hold: Hold): boolean => {
      if (hold.owner === owner || hold.owner === workload.workspace || gpus <= hold.spareGpus) return false;
      if (hold.lendsToInterruptible && workload.interruptible !== undefined) return false;
      return hold.fromMs === undefined || endsMs === undefined || endsMs > hold.fromMs;
    };
    const kept = new Set([...this.#holds].filter(([, holds]) => holds.some(isKept)).map(([node]) => node));
    if (kept.size === 0) return undefined;
    return { name: [...kept].join(), accepts: ({ node }) => !kept.has(node) };
  }

  /** What was put on a node that is kept leaves less to spare. */
  took({ placement }: Bind): void {
    const holds = this.#holds.get(placement.node);
    if (holds === undefined) return;
    const gpus = new Set(placement.devices.map(({ gpu }) => gpu)).size;
    this.#holds.set(
      placement.node,
      holds.map((hold) => ({ ...hold, spareGpus: Math.max(0, hold.spareGpus - gpus) })),
    );
  }
}
