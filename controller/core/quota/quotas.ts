import type { WorkspaceName } from '@astrago/shared/domain/ids';
import { wholeUnits } from '@astrago/shared/domain/units';
import type { Cluster } from '../cluster/cluster.ts';
import type { AllocationRecord } from '../cluster/records.ts';
import { modelFits } from '../scheduling/gpu-view.ts';
import { type Charge, chargeOf, type Dimension } from './charge.ts';
import { QuotaTree } from './quota-tree.ts';

/** The quotas of a cluster, counted along with its allocations, also while something is tried and undone. */
export class Quotas {
  readonly #cluster: Cluster;
  #tree: QuotaTree | undefined;
  #revision = -1;
  #charges = new WeakMap<AllocationRecord, Charge>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    cluster.watchAllocations((allocation, sign) => {
      const isCurrent = this.#revision === cluster.quotaRevision;
      if (isCurrent) this.#tree?.count(allocation.workspace, this.chargeOf(allocation), allocation.borrowed === true, sign);
    });
  }

  /** As of now. */
  get tree(): QuotaTree {
    const known = this.#tree;
    if (known !== undefined && this.#revision === this.#cluster.quotaRevision) return known;
    const tree = new QuotaTree(this.#cluster.workspaces, (dimension) => capacityOf(this.#cluster, dimension));
    this.#tree = tree;
    this.#revision = this.#cluster.quotaRevision;
    this.#charges = new WeakMap();
    for (const allocation of this.#cluster.allocations.values())
      tree.count(allocation.workspace, this.chargeOf(allocation), allocation.borrowed === true, 1);
    return tree;
  }

  get countsPerModel(): boolean {
    return this.tree.dimensions.some(({ model }) => model !== undefined);
  }

  /** What an allocation counts for. */
  chargeOf(allocation: AllocationRecord): Charge {
    const known = this.#charges.get(allocation);
    if (known !== undefined) return known;
    const models = allocation.devices.flatMap(({ gpu }) => this.#cluster.gpu(gpu)?.model ?? []);
    const charge = chargeOf(this.#tree?.dimensions ?? [], allocation, models);
    this.#charges.set(allocation, charge);
    return charge;
  }

  used(workspace: WorkspaceName): Charge {
    return this.tree.used(workspace);
  }
}

function capacityOf(cluster: Cluster, { resource, model }: Dimension): number {
  let sum = 0;
  for (const node of cluster.observed.values()) {
    if (resource === 'cpuMilli' || resource === 'memoryMiB') sum += node[resource];
    else for (const gpu of node.gpus) if (modelFits(gpu.model, model)) sum += 1000 * wholeUnits(gpu.grid)[resource];
  }
  return sum;
}
