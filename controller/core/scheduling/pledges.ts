import type { WorkspaceName } from '@astrago/shared/domain/ids';
import type { Vector } from '../quota/amounts.ts';
import type { QueuedUnit } from './gang.ts';
import { ownerOf } from './holds.ts';
import type { Scheduler } from './scheduler.ts';

/**
 * What counts for those for whom room is being made, as if they had it already: others of their workspace must not use
 * up the guarantee for which somebody is being stopped.
 */
export class Pledges {
  readonly #scheduler: Scheduler;
  readonly #made = new Map<string, { readonly workspace: WorkspaceName; readonly charge: Vector; readonly isBorrowed: boolean }>();

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  make(unit: QueuedUnit): void {
    const [first] = unit.members;
    const charge = chargeOfUnit(this.#scheduler, unit);
    if (first === undefined || charge === undefined) return;
    const { quotas } = this.#scheduler;
    const { workspace } = first;
    const isBorrowed = quotas.isBorrowing(workspace, charge);
    quotas.count(workspace, charge, isBorrowed, 1);
    this.#made.set(ownerOf(first), { workspace, charge, isBorrowed });
  }

  /** What was pledged to a unit counts no more, because it is about to get it. */
  takeBack({ members: [first] }: QueuedUnit): void {
    const owner = first === undefined ? '' : ownerOf(first);
    const pledge = this.#made.get(owner);
    this.#made.delete(owner);
    if (pledge !== undefined) this.#scheduler.quotas.count(pledge.workspace, pledge.charge, pledge.isBorrowed, -1);
  }

  takeAllBack(): void {
    for (const { workspace, charge, isBorrowed } of this.#made.values()) this.#scheduler.quotas.count(workspace, charge, isBorrowed, -1);
    this.#made.clear();
  }
}

/** What a unit counts for at the least when it starts, met in the first way; absent where nothing that is open could ever meet it. */
export function chargeOfUnit(scheduler: Scheduler, { members: [first], least }: QueuedUnit): Vector | undefined {
  const variant = first === undefined ? undefined : scheduler.variantsOf(first)[0];
  if (first === undefined || variant === undefined) return undefined;
  const one = scheduler.quotas.chargeOfWay(variant);
  return least === 1 ? one : one.map((amount) => amount * least);
}
