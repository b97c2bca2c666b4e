import type { AskVariant } from '../bays/ask-variants.ts';
import type { Bay } from '../bays/bay.ts';
import { Bays, type Found, type PolicyMaker } from '../bays/bays.ts';
import { askFacts, askKeyOf } from '../cluster/asked.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { WorkloadRecord } from '../cluster/records.ts';
import { expectedFill } from '../placement/policies/expected-fill.ts';
import { Quotas } from '../quota/quotas.ts';
import { placementOf } from './bind.ts';
import type { Placement } from './decision.ts';
import { canBeClose } from './locality.ts';

/** What of a workload placement looks at. */
export type Ask = Pick<WorkloadRecord, 'workspace' | 'ask' | 'model' | 'cpuMilli' | 'memoryMiB' | 'constraints' | 'interruptible'>;

/** Finds places on one cluster, and keeps what it has found out about it. Nothing of the cluster is changed by it. */
export class Scheduler {
  readonly cluster: Cluster;
  readonly bays: Bays;
  readonly quotas: Quotas;

  constructor(cluster: Cluster, makePolicy: PolicyMaker = (demand, capacity) => expectedFill(demand, capacity)) {
    this.cluster = cluster;
    this.bays = new Bays(cluster, makePolicy);
    this.quotas = new Quotas(cluster);
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
