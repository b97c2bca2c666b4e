import type { WorkspaceName } from '@astrago/shared/domain/ids';
import { type Charge, chargeOf } from '../quota/charge.ts';
import type { QueuedUnit } from './gang.ts';
import { ownerOf } from './holds.ts';
import type { Scheduler } from './scheduler.ts';

/**
 * What counts for those for whom room is being made, as if they had it already: others of their workspace must not use
 * up the guarantee for which somebody is being stopped.
 */
export class Pledges {
  readonly #scheduler: Scheduler;
  readonly #made = new Map<string, { readonly workspace: WorkspaceName; readonly charge: Charge; readonly isBorrowed: boolean }>();

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  make({ members, least }: QueuedUnit): void {
    const [first] = members;
    const variant = first === undefined ? undefined : this.#scheduler.variantsOf(first)[0];
    if (first === undefined || variant === undefined) return;
    const { tree } = this.#scheduler.quotas;
    const { cpuMilli, memoryMiB, workspace } = first;
    const charge = chargeOf(tree.dimensions, { units: variant.units, cpuMilli, memoryMiB }, variant.models).map((amount) => amount * least);
    const isBorrowed = tree.judge(workspace, charge, 'guarantee').kind === 'borrowing';
    tree.count(workspace, charge, isBorrowed, 1);
    this.#made.set(ownerOf(first), { workspace, charge, isBorrowed });
  }

  /** What was pledged to a unit counts no more, because it is about to get it. */
  takeBack({ members: [first] }: QueuedUnit): void {
    const owner = first === undefined ? '' : ownerOf(first);
    const pledge = this.#made.get(owner);
    this.#made.delete(owner);
    if (pledge !== undefined) this.#scheduler.quotas.tree.count(pledge.workspace, pledge.charge, pledge.isBorrowed, -1);
  }

  takeAllBack(): void {
    for (const { workspace, charge, isBorrowed } of this.#made.values())
      this.#scheduler.quotas.tree.count(workspace, charge, isBorrowed, -1);
    this.#made.clear();
  }
}
