// Looks whether cutting GPUs anew, or moving work, would let waiting work begin; shows that, and where it may, does it.
import { createHash } from 'node:crypto';
import type { AllocationId, WorkloadId } from '@astrago/shared/domain/ids';
import { formatLayout } from '@astrago/shared/domain/mig/layout';
import { formatSlice } from '@astrago/shared/domain/mig/slice';
import type { Clock } from '@astrago/shared/runtime/clock';
import type { Cluster } from '#core/cluster/cluster';
import type { WorkloadRecord } from '#core/cluster/records';
import { type BestPlanAnswer, bestPlan } from '#core/repartition/best-plan';
import { ordersNow } from '#core/repartition/carry-out';
import { type DemandClass, demandOf } from '#core/repartition/demand';
import { gridKey } from '#core/repartition/grid-key';
import { lintPlan } from '#core/repartition/lint';
import type { MigrationBounds, MigrationCost } from '#core/repartition/migrate';
import type { Solve } from '#core/repartition/milp-outcome';
import type { Movability, Pool } from '#core/repartition/pool';
import { type PoolReading, poolModels, poolOf, waitingFor } from '#core/repartition/pool-of';
import type { Move, RepartitionPlan } from '#core/repartition/repartition-plan';
import { type LeftLayout, type Patience, type RepartitionMode, type Verdict, whatToDo } from '#core/repartition/when-to-act';
import { allocationChange, stepWorkload } from '#core/workload';
import type { Draft, Journal } from './journal.ts';
import { putWorkload } from './observe.ts';
import { Refusal } from './refusal.ts';

export interface Proposal {
  /** The same for the same plan, so that it can be named while rounds go on. */
  readonly id: string;
  readonly model: string;
  readonly madeAtMs: number;
  readonly plan: RepartitionPlan;
  readonly demand: readonly DemandClass[];
  /** Absent for a plan without moves. */
  readonly cost: MigrationCost | undefined;
  readonly verdict: Exclude<Verdict, { kind: 'nothing' }>;
  readonly text: string;
}

export interface ReplannerDeps {
  readonly cluster: Cluster;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly solve: Solve;
  readonly nextAllocationId: () => AllocationId;
  readonly log: (facts: object, message: string) => void;
}

const patience: Patience = { settleMs: 30_000, cooldownMs: 300_000, returnMs: 3_600_000, gainMin: 8, horizonSeconds: 3600 };
/** A look blocks everything else for a moment: about a quarter of a second with these. */
const bounds: MigrationBounds = { moves: 8, movesPerPiece: 3, looks: 300_000, looksPerClass: 30_000 };
/** The head of the queue; what is behind it is looked at when it has come up. */
const piecesMax = 256;
const lookAgainMs = 60_000;
/** Of a pool that nobody has set. */
export const defaultMode: RepartitionMode = 'propose';

/** The latest proposal of each pool. Nothing here is durable: the next round finds it again. */
export class Replanner {
  readonly #deps: ReplannerDeps;
  readonly #proposals = new Map<string, Proposal>();
  readonly #unmetSinceMs = new Map<string, number>();
  readonly #actedAtMs = new Map<string, number>();
  readonly #looks = new Map<string, Look>();
  #left: readonly LeftLayout[] = [];

  constructor(deps: ReplannerDeps) {
    this.#deps = deps;
  }

  proposals(): readonly Proposal[] {
    return [...this.#proposals.values()];
  }

  async round(): Promise<void> {
    const models = poolModels(this.#deps.cluster);
    for (const model of this.#proposals.keys()) if (!models.includes(model)) this.#proposals.delete(model);
    for (const model of models) {
      const proposal = await this.#propose(model);
      if (proposal === undefined) this.#proposals.delete(model);
      else this.#proposals.set(model, proposal);
      if (proposal?.verdict.kind === 'act') await this.apply('repartition', proposal.id);
    }
  }

  /** Carries out as much of a proposal as can be done now; refuses one that the cluster has left behind. */
  apply(actor: string, id: string): Promise<Proposal> {
    return this.#deps.journal.commit(actor, (draft) => {
      const proposal = this.proposals().find((one) => one.id === id);
      if (proposal === undefined) throw new Refusal('not-found', `there is no proposal ${id} any more; astrago plan lists them`);
      const pool = poolOf(draft.cluster, proposal.model, this.#reading());
      const [finding] = lintPlan(pool, proposal.demand, proposal.plan);
      if (finding !== undefined) throw new Refusal('stale-proposal', `${finding.text}; astrago plan shows what helps now`);
      const { layouts, moves } = ordersNow(pool, proposal.plan);
      for (const record of layouts) {
        draft.apply({ kind: 'layout', record: { ...record, pinned: false } });
        draft.audit('repartition', record.gpu, `${formatLayout(record.layout)} for proposal ${id}`);
      }
      for (const move of moves) this.#move(draft, pool, move, id);
      this.#remember(proposal);
      return proposal;
    });
  }

  #move(draft: Draft, pool: Pool, { workload: moved, to }: Move, id: string): void {
    const workload = draft.cluster.workloads.get(moved as WorkloadId);
    const before = workload?.allocation === undefined ? undefined : draft.cluster.allocations.get(workload.allocation);
    const node = pool.gpus.find(({ uuid }) => uuid === to.gpu)?.node;
    if (workload === undefined || before === undefined || node === undefined) return;
    const devices = [{ gpu: to.gpu, slice: to.slice }];
    const allocation = this.#deps.nextAllocationId();
    draft.apply({ kind: 'allocation', record: { ...before, id: allocation, node, devices, intent: 'run', after: before.id } });
    const next = stepWorkload(workload, { kind: 'moved', allocation, node, devices, atMs: this.#deps.clock.nowMs() });
    putWorkload(draft, next);
    const stop = allocationChange(before, next, undefined);
    if (stop !== undefined) draft.apply(stop);
    draft.audit('move', workload.id, `${workload.name} to ${node} ${to.gpu}/${formatSlice(to.slice)} for proposal ${id}`);
  }

  #remember({ model, plan }: Proposal): void {
    const atMs = this.#deps.clock.nowMs();
    this.#proposals.delete(model);
    this.#looks.delete(model);
    this.#actedAtMs.set(model, atMs);
    const left = plan.changes.map(({ gpu, before }) => ({ gpu, layout: formatLayout(before), atMs }));
    this.#left = [...this.#left.filter((one) => atMs - one.atMs < patience.returnMs), ...left];
  }

  async #propose(model: string): Promise<Proposal | undefined> {
    const { cluster, clock } = this.#deps;
    const nowMs = clock.nowMs();
    const mode = cluster.pools.get(model)?.repartition ?? defaultMode;
    const pool = poolOf(cluster, model, this.#reading());
    const queue = waitingFor(cluster, pool).slice(0, piecesMax);
    if (mode === 'off' || queue.length === 0) {
      this.#unmetSinceMs.delete(model);
      this.#looks.delete(model);
      return undefined;
    }
    const unmetSinceMs = this.#unmetSinceMs.get(model) ?? nowMs;
    this.#unmetSinceMs.set(model, unmetSinceMs);
    const look = await this.#look(pool, demandOf({ queue, history: [], nowMs, halfLifeMs: 1 }), nowMs);
    if (look.answer.kind === 'faulty') return undefined;
    const { plan, value, valueAsItIs, moving, text } = look.answer;
    const verdict = whatToDo(
      {
        mode,
        plan,
        value,
        valueAsItIs,
        moving: moving === undefined ? undefined : { sliceSeconds: moving.cost.sliceSeconds, units: moving.units },
        unmetSinceMs,
        actedAtMs: this.#actedAtMs.get(model),
        left: this.#left,
        nowMs,
      },
      patience,
    );
    if (verdict.kind === 'nothing') return undefined;
    return { id: idOf(model, plan), model, madeAtMs: look.atMs, plan, demand: look.demand, cost: moving?.cost, verdict, text };
  }

  /** A pool that is as it was needs no new plan; how much moving would lose grows meanwhile, so it is looked at again before long. */
  async #look(pool: Pool, demand: readonly DemandClass[], nowMs: number): Promise<Look> {
    const fingerprint = fingerprintOf(pool, demand);
    const before = this.#looks.get(pool.model);
    if (before?.fingerprint === fingerprint && nowMs - before.atMs < lookAgainMs) return before;
    const answer = await bestPlan(pool, demand, this.#deps.solve, bounds);
    if (answer.kind === 'faulty')
      this.#deps.log({ model: pool.model, findings: answer.findings }, 'a plan may not be ordered: a fault of the planner');
    const look = { fingerprint, atMs: nowMs, demand, answer };
    this.#looks.set(pool.model, look);
    return look;
  }

  #reading(): PoolReading {
    const nowMs = this.#deps.clock.nowMs();
    return { isSettling: () => false, movability: (workload) => movabilityOf(workload, nowMs) };
  }
}

/** What has run for a while loses that while. */
function movabilityOf(workload: WorkloadRecord | undefined, nowMs: number): Movability {
  if (workload?.interruptible === undefined || workload.phase !== 'running') return { kind: 'stays' };
  // Where it may go is more than a question of slices.
  if (workload.constraints !== undefined || workload.gang !== undefined) return { kind: 'stays' };
  const ranMs = workload.startedAtMs === undefined ? 0 : nowMs - workload.startedAtMs;
  const ranSeconds = Math.max(0, Math.round(ranMs / 1000));
  return {
    kind: workload.interruptible,
    lostSeconds: workload.interruptible === 'restart' ? ranSeconds : Math.min(ranSeconds, workload.graceSeconds),
  };
}

interface Look {
  readonly fingerprint: string;
  readonly atMs: number;
  readonly demand: readonly DemandClass[];
  readonly answer: BestPlanAnswer;
}

/** Of all that a plan depends on, but for the time that moving work would lose. */
function fingerprintOf(pool: Pool, demand: readonly DemandClass[]): string {
  const gpus = pool.gpus.map(({ grid, used, ...gpu }) => [gpu, gridKey(grid), used.map(({ move, ...slice }) => [slice, move.kind])]);
  return JSON.stringify([pool.nodes, gpus, demand]);
}

function idOf(model: string, plan: RepartitionPlan): string {
  return `prp_${createHash('sha256')
    .update(JSON.stringify([model, plan]))
    .digest('hex')
    .slice(0, 12)}`;
}
