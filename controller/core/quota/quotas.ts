import type { WorkspaceName } from '@astrago/shared/domain/ids';
import type { SliceUnits } from '@astrago/shared/domain/units';
import type { Cluster } from '../cluster/cluster.ts';
import type { AllocationRecord } from '../cluster/records.ts';
import { modelFits } from '../scheduling/gpu-view.ts';
import type { ResourceName, Vector } from './amounts.ts';
import { capacityOf } from './capacity.ts';
import { type QuotaNode, QuotaTree, type Verdict } from './quota-tree.ts';
import { dominant, surplusShares } from './shares.ts';
import { organisation, ownWorkOf, specsOf } from './workspace-specs.ts';

/** One way to meet an ask: what it takes there, and of GPUs of which models. */
interface CountedWay {
  readonly ask: { readonly cpuMilli: number; readonly memoryMiB: number };
  readonly units: SliceUnits;
  readonly models: readonly string[];
}

/** The quotas of a cluster, counted along with its allocations, also while something is tried and undone. */
export class Quotas {
  readonly #cluster: Cluster;
  #tree: QuotaTree | undefined;
  #axes: readonly CountedAxis[] = [];
  #leaves: ReadonlyMap<WorkspaceName, QuotaNode> = new Map();
  #revision = -1;
  #charges = new WeakMap<AllocationRecord, Vector>();
  #chargesOfWays = new WeakMap<CountedWay, Vector>();
  #countsPerModel = false;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    cluster.watchAllocations((allocation, sign) => {
      const isCurrent = this.#tree !== undefined && this.#revision === cluster.quotaRevision;
      if (isCurrent) this.count(allocation.workspace, this.chargeOf(allocation), allocation.borrowed === true, sign);
    });
  }

  /** As of now. */
  get tree(): QuotaTree {
    const known = this.#tree;
    if (known !== undefined && this.#revision === this.#cluster.quotaRevision) return known;
    const specs = specsOf(this.#cluster.workspaces);
    const tree = new QuotaTree({ name: organisation, capacity: capacityOf(this.#cluster, specs), specs });
    this.#tree = tree;
    this.#axes = tree.axes.names.map(countedBy);
    this.#leaves = new Map(
      [...this.#cluster.workspaces.keys()].map((name) => [name, tree.find(ownWorkOf(name)) ?? tree.node(name)] as const),
    );
    this.#revision = this.#cluster.quotaRevision;
    this.#charges = new WeakMap();
    this.#chargesOfWays = new WeakMap();
    this.#countsPerModel = tree.axes.names.some((name) => name.includes('/'));
    for (const allocation of this.#cluster.allocations.values())
      this.count(allocation.workspace, this.chargeOf(allocation), allocation.borrowed === true, 1);
    return tree;
  }

  get countsPerModel(): boolean {
    return this.tree === this.#tree && this.#countsPerModel;
  }

  /** Where the work of a workspace counts; the organisation itself for one that is not known: without limit or guarantee. */
  leafOf(workspace: WorkspaceName): QuotaNode {
    const { tree } = this;
    return this.#leaves.get(workspace) ?? tree.root;
  }

  /** @param models of the GPUs; they all count alike for every axis. */
  charge({ units, cpuMilli, memoryMiB }: Pick<AllocationRecord, 'units' | 'cpuMilli' | 'memoryMiB'>, models: readonly string[]): Vector {
    const { tree } = this;
    const charge = new Float64Array(tree.axes.names.length);
    for (const [axis, { resource, model }] of this.#axes.entries()) {
      const amount =
        resource === 'cpu' ? cpuMilli : resource === 'memory' ? memoryMiB : resource === 'compute' ? units.compute : units.memory;
      if (amount > 0 && (model === undefined || models.some((one) => modelFits(one, model)))) charge[axis] = Math.round(1000 * amount);
    }
    return charge;
  }

  /** What one way to meet an ask counts for. */
  chargeOfWay(way: CountedWay): Vector {
    // With another tree what was known is forgotten.
    const known = this.tree === this.#tree ? this.#chargesOfWays.get(way) : undefined;
    if (known !== undefined) return known;
    const { units, models, ask } = way;
    const charge = this.charge({ units, cpuMilli: ask.cpuMilli, memoryMiB: ask.memoryMiB }, models);
    this.#chargesOfWays.set(way, charge);
    return charge;
  }

  /** What an allocation counts for. */
  chargeOf(allocation: AllocationRecord): Vector {
    const known = this.#charges.get(allocation);
    if (known !== undefined) return known;
    const models = allocation.devices.flatMap(({ gpu }) => this.#cluster.gpu(gpu)?.model ?? []);
    const charge = this.charge(allocation, models);
    this.#charges.set(allocation, charge);
    return charge;
  }

  /**
   * What taking so much more would be, by limits and guarantees. The capacity of the organisation is no limit here: whether
   * there is room is for the placement to say.
   */
  judge(workspace: WorkspaceName, charge: Vector): Verdict {
    const verdict = this.tree.admit(this.leafOf(workspace), charge);
    if (verdict.kind === 'refused' && verdict.node !== organisation) return verdict;
    return { kind: this.isBorrowing(workspace, charge) ? 'borrowing' : 'within-guarantee' };
  }

  /** Whether so much more would be beyond what is guaranteed; nothing is where nobody is guaranteed anything. */
  isBorrowing(workspace: WorkspaceName, charge: Vector): boolean {
    const { tree } = this;
    return tree.hasPromises && !tree.fitsGuarantee(this.leafOf(workspace), charge);
  }

  /** Whether a guarantee that this counts in is exceeded by what is not borrowed. */
  exceedsGuarantee(workspace: WorkspaceName, charge: Vector): boolean {
    return this.tree.exceedsGuarantee(this.leafOf(workspace), charge);
  }

  /** Whether any guarantee is. */
  get isOverGuarantee(): boolean {
    const { tree } = this;
    return tree.hasPromises && tree.isOverGuarantee;
  }

  /** Counts it, or takes it back with `sign` -1. */
  count(workspace: WorkspaceName, charge: Vector, isBorrowed: boolean, sign: 1 | -1): void {
    const { tree } = this;
    if (sign === 1) tree.charge(this.leafOf(workspace), charge, isBorrowed);
    else tree.release(this.leafOf(workspace), charge, isBorrowed);
  }

  /** What a workspace and those below it have beyond what they are entitled to, against its weight: 0 or more. */
  surplusOf(workspace: WorkspaceName): number {
    const { tree } = this;
    const node = tree.find(workspace);
    return node === undefined ? 0 : dominant(surplusShares(tree, node), node);
  }
}

interface CountedAxis {
  readonly resource: 'cpu' | 'memory' | 'compute' | 'gpu-memory';
  /** Words that a GPU's model must hold to count; absent: all do. */
  readonly model: string | undefined;
}

function countedBy(name: ResourceName): CountedAxis {
  const [resource = '', ...words] = name.split('/');
  return { resource: resource as CountedAxis['resource'], model: words.length === 0 ? undefined : words.join('/') };
}
