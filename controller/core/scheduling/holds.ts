// Nodes that are kept for somebody, so that what is being freed there is not taken by others in between.
import type { NodeName } from '@astrago/shared/domain/ids';
import type { Cluster } from '../cluster/cluster.ts';
import { gangKey } from '../cluster/gangs.ts';
import type { WorkloadRecord } from '../cluster/records.ts';
import type { Bind } from './decision.ts';
import type { Scope } from './scope.ts';

export interface Hold {
  /** See {@link ownerOf}. */
  readonly owner: string;
  /** Work that ends before may run there until then; absent: it is needed now. */
  readonly fromMs: number | undefined;
  /** GPUs of the node that the owner will not need. */
  readonly spareGpus: number;
}

/** Members of a gang keep nodes together. */
export function ownerOf(workload: Pick<WorkloadRecord, 'id' | 'workspace' | 'gang'>): string {
  return gangKey(workload) ?? workload.id;
}

export class Holds {
  readonly #holds = new Map<NodeName, Hold>();
  /** Who waits for room that is being made. */
  readonly beneficiaries = new Set<string>();

  /** What is kept for those for whom others were stopped. */
  constructor(cluster: Cluster) {
    for (const { eviction } of cluster.evicted()) {
      const beneficiary = eviction === undefined ? undefined : cluster.workloads.get(eviction.beneficiary);
      if (eviction === undefined || beneficiary?.phase !== 'queued') continue;
      const owner = ownerOf(beneficiary);
      this.beneficiaries.add(owner);
      this.keep(eviction.node, { owner, fromMs: undefined, spareGpus: 0 });
    }
  }

  /** Who came first keeps it. */
  keep(node: NodeName, hold: Hold): void {
    if (!this.#holds.has(node)) this.#holds.set(node, hold);
  }

  /** Where a workload may go; `undefined` where nothing is kept from it. */
  scopeFor(workload: WorkloadRecord, nowMs: number): Scope | undefined {
    if (this.#holds.size === 0) return undefined;
    const owner = ownerOf(workload);
    const endsMs = workload.expectedSeconds === undefined ? undefined : nowMs + 1000 * workload.expectedSeconds;
    const gpus = workload.ask.kind === 'whole' ? workload.ask.count : workload.ask.kind === 'none' ? 0 : 1;
    const isKept = ({ owner: other, fromMs, spareGpus }: Hold): boolean => {
      if (owner === other || gpus <= spareGpus) return false;
      return fromMs === undefined || endsMs === undefined || endsMs > fromMs;
    };
    const kept = new Set([...this.#holds].filter(([, hold]) => isKept(hold)).map(([node]) => node));
    if (kept.size === 0) return undefined;
    return { name: [...kept].join(), accepts: ({ node }) => !kept.has(node) };
  }

  /** What was put on a node that is kept leaves less to spare. */
  took({ placement }: Bind): void {
    const hold = this.#holds.get(placement.node);
    if (hold === undefined) return;
    const gpus = new Set(placement.devices.map(({ gpu }) => gpu)).size;
    this.#holds.set(placement.node, { ...hold, spareGpus: Math.max(0, hold.spareGpus - gpus) });
  }
}
