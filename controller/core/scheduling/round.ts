import type { AllocationId, NodeName } from '@astrago/shared/domain/ids';
import { wholeUnits } from '@astrago/shared/domain/units';
import type { AskVariant } from '../bays/ask-variants.ts';
import { askKeyOf } from '../cluster/asked.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { AllocationRecord, WorkloadRecord } from '../cluster/records.ts';
import { type Admission, admit } from './admission.ts';
import type { Bind, Obstacle } from './decision.ts';
import type { Scheduler } from './scheduler.ts';
import type { Scope } from './scope.ts';

export interface RoundDeps {
  readonly nextAllocationId: () => AllocationId;
  /** Since the epoch. */
  readonly nowMs: number;
  /** Work is let run for so long before it may be stopped to make room; a minute where absent. */
  readonly protectionMs?: number | undefined;
}

/** Work that has only just started is let run for a while: stopping it again at once would get nobody anywhere. */
const defaultProtectionMs = 60_000;

export type Answer = { readonly kind: 'bound'; readonly bind: Bind } | { readonly kind: 'no'; readonly obstacle: Obstacle };

/**
 * One look at the queue. Binds are tried on the cluster one after the other, so that each sees the ones before; whoever
 * began the round undoes them.
 */
export class Round {
  readonly scheduler: Scheduler;
  readonly nowMs: number;
  readonly protectionMs: number;
  readonly #nextAllocationId: () => AllocationId;
  /** Asks without room, and when that was found, as a mark of the cluster: a round only takes room away. */
  readonly #withoutRoom = new Map<string, number>();

  constructor(scheduler: Scheduler, { nextAllocationId, nowMs, protectionMs }: RoundDeps) {
    this.protectionMs = protectionMs ?? defaultProtectionMs;
    this.scheduler = scheduler;
    this.#nextAllocationId = nextAllocationId;
    this.nowMs = nowMs;
  }

  get cluster(): Cluster {
    return this.scheduler.cluster;
  }

  /** @param scope bays that it may go to; all where it is absent. */
  place(workload: WorkloadRecord, scope?: Scope): Answer {
    const isRemembered = scope === undefined || scope.name !== undefined;
    const key = isRemembered ? `${lookKeyOf(workload)}|${scope?.name ?? ''}` : '';
    if (this.#withoutRoom.has(key)) return { kind: 'no', obstacle: 'room' };
    const variants = this.scheduler.variantsOf(workload);
    const admitted: AskVariant[] = [];
    let refusal: Obstacle = 'room';
    const admissions = new Map<AskVariant, Admission>();
    for (const variant of variants) {
      const admission = admit(this.scheduler, workload, variant);
      admissions.set(variant, admission);
      if (admission.kind === 'refused') refusal = admission.obstacle;
      else admitted.push(variant);
    }
    const found = admitted.length === 0 ? undefined : this.scheduler.find(workload, admitted, scope?.accepts);
    if (found === undefined) {
      if (admitted.length === variants.length && isRemembered) this.#withoutRoom.set(key, this.cluster.mark());
      return { kind: 'no', obstacle: admitted.length === 0 ? refusal : 'room' };
    }
    const bind: Bind = {
      workload: workload.id,
      allocation: this.#nextAllocationId(),
      placement: this.scheduler.placementOf(workload, found),
      borrowed: isBorrowed(admissions.get(found.variant)),
    };
    applyBind(this.cluster, workload, bind, this.nowMs);
    return { kind: 'bound', bind };
  }

  /** The same round for a trial, in which things may be given back: it knows of nothing that has no room. */
  afresh(): Round {
    const { nowMs, protectionMs } = this;
    return new Round(this.scheduler, { nextAllocationId: this.#nextAllocationId, nowMs, protectionMs });
  }

  /** Whether there is a place; then it is taken. */
  tryPlace(workload: WorkloadRecord, scope?: Scope): boolean {
    return this.place(workload, scope).kind === 'bound';
  }

  /** Memory slices of a node's GPUs that nothing is held of, whatever shape they have. */
  freeMemoryUnits(node: NodeName): number {
    const { cluster } = this;
    let free = 0;
    for (const gpu of cluster.observed.get(node)?.gpus ?? []) free += wholeUnits(gpu.grid).memory;
    for (const { units } of cluster.allocationsOnNode(node)) free -= units.memory;
    return free;
  }

  /** As if they had ended. For trials: whoever began one undoes it. */
  release(allocations: readonly AllocationRecord[]): void {
    for (const { id } of allocations) this.cluster.apply({ kind: 'allocation-released', id });
  }

  /** Gives back what was bound since the mark. */
  undoTo(mark: number): void {
    this.cluster.undoTo(mark);
    for (const [key, at] of this.#withoutRoom) if (at > mark) this.#withoutRoom.delete(key);
  }
}

function isBorrowed(admission: Admission | undefined): boolean {
  return admission?.kind === 'admitted' && admission.borrowed;
}

/** Equal for asks that are placed alike. */
export function lookKeyOf(workload: WorkloadRecord): string {
  const together = workload.constraints?.together;
  return `${askKeyOf(workload)}${together === undefined ? '' : JSON.stringify(together)}`;
}

/** Orders the layouts and makes the allocation; the workload's own record is the lifecycle's to change. */
export function applyBind(cluster: Pick<Cluster, 'apply'>, workload: WorkloadRecord, bind: Bind, nowMs: number): void {
  for (const record of bind.placement.layouts) cluster.apply({ kind: 'layout', record });
  cluster.apply({ kind: 'allocation', record: allocationOf(workload, bind, nowMs) });
}

function allocationOf(workload: WorkloadRecord, { allocation, placement, borrowed }: Bind, nowMs: number): AllocationRecord {
  return {
    id: allocation,
    workload: workload.id,
    workspace: workload.workspace,
    node: placement.node,
    devices: placement.devices,
    units: placement.units,
    cpuMilli: workload.cpuMilli,
    memoryMiB: workload.memoryMiB,
    intent: 'run',
    ...(borrowed ? { borrowed } : {}),
    placedAtMs: nowMs,
  };
}
