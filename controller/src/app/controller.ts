import type { AllocationId, WorkloadId, WorkspaceName } from '@astrago/shared/domain/ids';
import type { Clock } from '@astrago/shared/runtime/clock';
import { Loop } from '@astrago/shared/runtime/loop';
import { auditInvariants, type Finding } from '#core/audit';
import type { Change } from '#core/cluster/change';
import type { Cluster } from '#core/cluster/cluster';
import { hasEnded } from '#core/cluster/records';
import { putStored } from '#core/cluster/stored';
import type { Solve } from '#core/repartition/milp-outcome';
import { forgetEndedReservations } from './commands/reserve.ts';
import { Dispatcher } from './dispatcher.ts';
import { Fleet } from './fleet.ts';
import { type CommitSample, Journal } from './journal.ts';
import { observeAllocations } from './observe.ts';
import type { Agents, LeadershipLost, Store } from './ports.ts';
import { Replanner } from './replan.ts';
import { scheduleRound } from './schedule.ts';
import { WaitingReasons } from './waiting.ts';

export interface ControllerDeps {
  readonly cluster: Cluster;
  readonly store: Store;
  readonly agents: Agents;
  readonly clock: Clock;
  /** Random and never repeated; the prefix says of what. */
  readonly newId: (prefix: string) => string;
  readonly nodeUnreachableAfterMs: number;
  readonly nodeLostAfterMs: number;
  readonly auditPeriodMs: number;
  readonly protectionMs?: number;
  /** Solves integer programs, elsewhere. */
  readonly solve: Solve;
  readonly onLeadershipLost: (failure: LeadershipLost) => void;
  readonly onDecided: (facts: { readonly ms: number; readonly binds: number }) => void;
  readonly onCommitted: (sample: CommitSample) => void;
  readonly log: (facts: object, message: string) => void;
}

/** A burst of changes is looked at together: a look this long after the last one. */
const scheduleGapMs = 10;
/** Plans are for what waits long: nobody is hurried. */
const replanPeriodMs = 5000;
/** Reservations that are over keep nothing, so nobody waits for them to be forgotten. */
const forgetPeriodMs = 60_000;

/** The working set, the journal and the loops. Everything here is rebuilt from the store at the next start. */
export class Controller {
  readonly cluster: Cluster;
  readonly journal: Journal;
  readonly fleet: Fleet;
  readonly dispatcher: Dispatcher;
  readonly waiting: WaitingReasons;
  readonly replanner: Replanner;
  audit: { readonly checkedAtMs: number; readonly findings: readonly Finding[] } = { checkedAtMs: 0, findings: [] };
  auditRounds = 0;
  findingsSinceStart = 0;
  /** See `RoundDeps`. */
  readonly protectionMs: number | undefined;
  readonly #deps: ControllerDeps;
  readonly #loops: readonly Loop[];
  readonly #schedule: Loop;
  readonly #observe: Loop;
  #sequence: number;

  constructor(deps: ControllerDeps) {
    this.#deps = deps;
    this.protectionMs = deps.protectionMs;
    this.cluster = deps.cluster;
    this.waiting = new WaitingReasons(deps.cluster);
    this.#sequence = loadInto(deps.cluster, deps.store);
    const { clock } = deps;
    this.journal = new Journal({
      cluster: deps.cluster,
      store: deps.store,
      nowMs: clock.nowMs,
      onCommitted: (changes) => this.#onCommitted(changes),
      onLeadershipLost: deps.onLeadershipLost,
      onSample: deps.onCommitted,
    });
    this.fleet = new Fleet({
      cluster: deps.cluster,
      journal: this.journal,
      clock,
      unreachableAfterMs: deps.nodeUnreachableAfterMs,
      lostAfterMs: deps.nodeLostAfterMs,
      onChanged: () => this.#schedule.nudge(),
      log: deps.log,
    });
    this.dispatcher = new Dispatcher({
      cluster: deps.cluster,
      agents: deps.agents,
      epoch: deps.store.epoch,
      clock,
      retryMs: 1000,
      onLeadershipLost: deps.onLeadershipLost,
      log: deps.log,
    });
    this.replanner = new Replanner({
      cluster: deps.cluster,
      journal: this.journal,
      clock,
      solve: deps.solve,
      nextAllocationId: () => deps.newId('alc') as AllocationId,
      log: deps.log,
    });
    this.#schedule = this.#loop((signal) => this.#scheduleRound(signal), 1000, 'scheduling failed');
    this.#observe = this.#loop(() => this.#observeRound(), 1000, 'taking reports failed');
    const health = this.#loop(() => this.fleet.checkHealth(), 500, 'looking after nodes failed');
    const audit = this.#loop(async () => void this.auditNow(), deps.auditPeriodMs, 'auditing failed');
    const replan = this.#loop(() => this.replanner.round(), replanPeriodMs, 'planning layouts failed');
    const forget = this.#loop(
      () => forgetEndedReservations({ journal: this.journal, nowMs: clock.nowMs }, this.cluster),
      forgetPeriodMs,
      'forgetting reservations failed',
    );
    this.#loops = [this.#schedule, this.#observe, health, audit, replan, forget];
  }

  async run(signal: AbortSignal): Promise<void> {
    await this.#ensureDefaultWorkspace();
    await Promise.all([...this.#loops.map((loop) => loop.run(signal)), this.dispatcher.run(signal)]);
  }

  nextWorkloadId(): WorkloadId {
    return this.#deps.newId('wkl') as WorkloadId;
  }

  nextSequence(): number {
    this.#sequence += 1;
    return this.#sequence;
  }

  /** An agent has reported on its allocations. */
  reported(): void {
    this.#observe.nudge();
  }

  auditNow(): readonly Finding[] {
    const findings = auditInvariants(this.cluster);
    this.audit = { checkedAtMs: this.#deps.clock.nowMs(), findings };
    this.auditRounds += 1;
    this.findingsSinceStart += findings.length;
    for (const finding of findings) this.#deps.log(finding, 'an invariant is broken');
    return findings;
  }

  async #scheduleRound(signal: AbortSignal): Promise<void> {
    if (this.cluster.queuedCount === 0) return this.waiting.set({ binds: [], evictions: [], relabels: [], waiting: [] });
    await scheduleRound({
      journal: this.journal,
      waiting: this.waiting,
      nextAllocationId: () => this.#deps.newId('alc') as AllocationId,
      nowMs: this.#deps.clock.nowMs,
      protectionMs: this.protectionMs,
      onDecided: this.#deps.onDecided,
    });
    await this.#deps.clock.sleep(scheduleGapMs, signal);
  }

  async #observeRound(): Promise<void> {
    const taken = this.fleet
      .reports()
      .map(([node, reports]) => observeAllocations({ journal: this.journal, nowMs: this.#deps.clock.nowMs }, node, reports));
    // All in one transaction; a failed one fails them all alike.
    await Promise.all(taken);
  }

  #onCommitted(changes: readonly Change[]): void {
    const matters = changes.some(
      (change) => change.kind !== 'workload' || change.record.phase === 'queued' || hasEnded(change.record.phase),
    );
    if (matters) this.#schedule.nudge();
    this.dispatcher.changed(changes);
  }

  async #ensureDefaultWorkspace(): Promise<void> {
    const name = 'default' as WorkspaceName;
    if (this.cluster.workspaces.has(name)) return;
    await this.journal.commit('controller', (draft) => {
      draft.apply({ kind: 'workspace', record: { name, limit: { compute: undefined, memory: undefined } } });
      draft.audit('put-workspace', name, 'made at the first start');
    });
  }

  #loop(once: (signal: AbortSignal) => Promise<void>, periodMs: number, text: string): Loop {
    const onFailure = (failure: unknown): void =>
      this.#deps.log({ failure: failure instanceof Error ? failure.message : String(failure) }, text);
    return new Loop({ once, periodMs, clock: this.#deps.clock, onFailure });
  }
}

/** Fills the cluster from the store; gives the highest sequence in it. */
function loadInto(cluster: Cluster, store: Store): number {
  const loaded = store.load();
  for (const record of loaded.pools) cluster.apply({ kind: 'pool', record });
  putStored(cluster, loaded);
  cluster.keep();
  return loaded.sequence;
}
