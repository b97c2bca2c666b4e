import type { AskVariant } from '../bays/ask-variants.ts';
import type { Bay } from '../bays/bay.ts';
import { Bays, type Found, type PolicyMaker } from '../bays/bays.ts';
import { askFacts, askKeyOf } from '../cluster/asked.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { WorkloadRecord } from '../cluster/records.ts';
import { expectedFill, expectedFillDefaults } from '../placement/policies/expected-fill.ts';
import { Quotas } from '../quota/quotas.ts';
import { placementOf } from './bind.ts';
import type { Placement } from './decision.ts';
import { canBeClose } from './locality.ts';

/** What of a workload placement looks at. */
export type Ask = Pick<WorkloadRecord, 'workspace' | 'ask' | 'model' | 'cpuMilli' | 'memoryMiB' | 'constraints' | 'interruptible'>;

/**
 * Keeping GPUs together for asks of several is worth more where work comes and goes: what is broken up then stays so. In
 * a pool of which little is free, what others could take elsewhere is dearer.
 */
export const fillByOutlook: PolicyMaker = ({ demand, free, turnover }) => {
  const { together: still, togetherInTurnover } = expectedFillDefaults;
  const together = still + turnover * (togetherInTurnover - still);
  return expectedFill(demand, free, { together, togetherInTurnover: together });
};

/** Finds places on one cluster, and keeps what it has found out about it. Nothing of the cluster is changed by it. */
export class Scheduler {
  readonly cluster: Cluster;
  readonly bays: Bays;
  readonly quotas: Quotas;

  constructor(cluster: Cluster, makePolicy: PolicyMaker = fillByOutlook) {
    this.cluster = cluster;
    this.bays = new Bays(cluster, makePolicy);
    this.quotas = new Quotas(cluster);
  }

  /** To be called before a look at the queue, and not while something is tried. */
  lookAround(): void {
    this.bays.countPerModel(this.quotas.countsPerModel);
    this.bays.lookAround();
  }

  /** The ways to meet an ask; none where none of the nodes that are open now ever could. */
  variantsOf(ask: Ask): readonly AskVariant[] {
    this.bays.countPerModel(this.quotas.countsPerModel);
    this.bays.refresh();
    return this.bays.variantsOf(askKeyOf(ask), askFacts(ask));
  }

  /** The best place for an ask among bays that `accept` names, all where it is absent. */
  find(ask: Ask, variants: readonly AskVariant[], accept?: (bay: Bay) => boolean): Found | undefined {
    this.bays.refresh();
    const close = this.#closeEnough(ask);
    if (close === undefined) return this.bays.find(variants, accept);
    return this.bays.find(variants, accept === undefined ? close : (bay) => accept(bay) && close(bay));
  }

  placementOf(ask: Ask, found: Found): Placement {
    return placementOf(this.cluster, this.bays.states, found, { ask: ask.ask, together: ask.constraints?.together });
  }

  #closeEnough({ ask, constraints }: Ask): ((bay: Bay) => boolean) | undefined {
    const together = constraints?.together;
    if (ask.kind !== 'whole' || ask.count < 2 || together?.some(({ required }) => required) !== true) return undefined;
    return (bay) => canBeClose(this.bays.untouched(bay), ask.count, together);
  }
}

const schedulers = new WeakMap<Cluster, Scheduler>();

/** The one of this cluster, with the default policy. */
export function schedulerOf(cluster: Cluster): Scheduler {
  const scheduler = schedulers.get(cluster) ?? new Scheduler(cluster);
  schedulers.set(cluster, scheduler);
  return scheduler;
}
