import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { Clock } from '@astrago/shared/runtime/clock';
import { type Deed, decide, done, type HoldReason, type Watch } from '#core/enforcement/enforce';
import { type Finding, type FindingKind, findingsOf, type Holder } from '#core/enforcement/finding';
import type { Order } from '#core/order';
import { conditionText, deedText, missedTexts } from './enforcer-texts.ts';
import type { AttributedProcess, NodeState } from './node-state.ts';
import type { EnforcementAction, Ledger } from './ports.ts';

/** Signals to processes that need not be ours. Each names a process by pid and start time; nothing here throws. */
export interface ProcessSignals {
  /** Why the agent never signals this one: it is part of what the system or the agent stands on, or another user's. */
  obstacle(pid: number, startTime: string): Extract<HoldReason, 'protected' | 'not-permitted'> | undefined;
  /** `gone` also when the number belongs to another process by now. */
  send(pid: number, startTime: string, signal: 'SIGTERM' | 'SIGKILL'): 'sent' | 'gone' | 'not-permitted';
}

export interface EnforcerDeps {
  readonly state: NodeState;
  readonly ledger: Pick<Ledger, 'order' | 'deed' | 'outcome'>;
  readonly signals: ProcessSignals;
  readonly clock: Clock;
  /** When the controller last spoke or answered, by the monotonic clock; `undefined` when it never has. */
  readonly controllerHeardAtMs: () => number | undefined;
  /** With the controller silent for longer nothing is ended. */
  readonly controllerSilenceMaxMs?: number;
  /** Whether an MPS daemon of ours is on a GPU or a slice of it, also one that no allocation holds any more. */
  readonly servesMps?: (gpu: GpuUuid) => boolean;
  /** Lets the MPS server drop a client before it is killed: killing one with work in flight may take the server along. */
  readonly endMpsClient?: (pid: number, gpu: GpuUuid) => Promise<'ended' | 'unknown'>;
  readonly log: (facts: object, message: string) => void;
}

const silenceMaxMs = 60_000;
/** The server answers at once, or hangs. */
const endClientMaxMs = 10_000;
/** How many actions are told; the ledger has all of them. */
const actionsMax = 200;
const kinds: readonly FindingKind[] = ['foreign-process', 'outside-allocation', 'memory-over-share'];

/**
 * Lays every new listing of processes beside the allocations. What is found becomes a condition of its GPU; what the
 * policy asks for is written into the ledger, done, and told, in this order. What cannot be written is not done.
 *
 * It remembers nothing over a restart: a process that was told to end by an agent before gets its whole grace again.
 */
export class Enforcer {
  readonly #deps: EnforcerDeps;
  #watch: Watch = new Map();
  /** Listed last time without being seen on this node. */
  #unseen: ReadonlySet<string> = new Set();

  constructor(deps: EnforcerDeps) {
    this.#deps = deps;
  }

  /** Runs until the signal is aborted; a deed that has begun is finished. */
  async run(signal: AbortSignal): Promise<void> {
    const { state, log } = this.#deps;
    if (state.enforcement.current === undefined) state.enforcement.set([]);
    for await (const { processes } of state.processes.watch(signal)) {
      try {
        await this.look(processes, signal);
      } catch (failure) {
        log({ failure: failure instanceof Error ? failure.message : String(failure) }, 'comparing processes with allocations failed');
      }
    }
  }

  /** One listing. */
  async look(processes: readonly AttributedProcess[], signal: AbortSignal): Promise<void> {
    const { state, clock, ledger } = this.#deps;
    const { order } = ledger;
    const gpus = new Map(state.known.flatMap((uuid) => [state.gpu(uuid)].filter((gpu) => gpu !== undefined)).map((gpu) => [gpu.uuid, gpu]));
    const findings = findingsOf(this.#believable(processes), gpus, holdersOf(order, processes));
    this.#showConditions(findings);
    const named = gpusNamedBy(order);
    const forbidden = (finding: Finding): HoldReason | undefined => this.#forbidden(finding, named);
    const decided = decide(this.#watch, findings, order.enforcement, { nowMs: clock.elapsedMs(), forbidden });
    this.#watch = decided.watch;
    for (const deed of decided.due) {
      if (signal.aborted) return;
      if (await this.#carryOut(deed)) this.#watch = done(this.#watch, deed, clock.elapsedMs());
    }
  }

  /** What is listed and not seen has ended a moment ago, or lives where the agent cannot look: the next listing tells. */
  #believable(processes: readonly AttributedProcess[]): readonly AttributedProcess[] {
    const unseenBefore = this.#unseen;
    const keyOf = ({ pid, gpuUuid }: AttributedProcess): string => `${pid} ${gpuUuid}`;
    this.#unseen = new Set(processes.filter(({ startTime }) => startTime === undefined).map(keyOf));
    const isOurServer = ({ mpsRole, gpuUuid }: AttributedProcess): boolean =>
      mpsRole === 'server' && this.#deps.servesMps?.(gpuUuid) === true;
    return processes.filter((process) => (process.startTime !== undefined || unseenBefore.has(keyOf(process))) && !isOurServer(process));
  }

  #showConditions(findings: readonly Finding[]): void {
    const { state } = this.#deps;
    const byPlace = Map.groupBy(findings, ({ gpu, kind }) => `${gpu} ${kind}`);
    for (const gpu of new Set([...state.known, ...findings.map((finding) => finding.gpu)])) {
      for (const kind of kinds) state.setCondition(gpu, kind, conditionText(byPlace.get(`${gpu} ${kind}`) ?? []));
    }
  }

  #forbidden({ gpu, pid, startTime }: Finding, named: ReadonlySet<GpuUuid>): HoldReason | undefined {
    const { clock, controllerHeardAtMs, controllerSilenceMaxMs = silenceMaxMs, signals } = this.#deps;
    if (!named.has(gpu)) return 'gpu-not-named';
    if (startTime === undefined) return 'not-identified';
    const obstacle = signals.obstacle(pid, startTime);
    if (obstacle !== undefined) return obstacle;
    const heardAtMs = controllerHeardAtMs();
    return heardAtMs === undefined || clock.elapsedMs() - heardAtMs > controllerSilenceMaxMs ? 'controller-silent' : undefined;
  }

  /** Whether it was done; `false` when it has to be tried again with the next listing. */
  async #carryOut(deed: Deed): Promise<boolean> {
    const { ledger, log } = this.#deps;
    const { kind, finding } = deed;
    const action: EnforcementAction = {
      atMs: this.#deps.clock.nowMs(),
      finding: finding.kind,
      deed: kind,
      gpu: finding.gpu,
      pid: finding.pid,
      startTime: finding.startTime,
      allocation: finding.allocation,
      detail: deedText(deed),
    };
    try {
      await ledger.deed(action);
    } catch (cause) {
      log(
        { pid: finding.pid, deed: kind, cause: cause instanceof Error ? cause.message : String(cause) },
        'a deed cannot be written down, so it is not done',
      );
      return false;
    }
    const result = kind === 'terminated' || kind === 'killed' ? await this.#end(finding, kind) : undefined;
    this.#tell(result === undefined || result === 'sent' ? action : { ...action, detail: `${action.detail}; ${missedTexts[result]}` });
    log({ gpu: finding.gpu, pid: finding.pid, finding: finding.kind, deed: kind, result }, action.detail);
    return true;
  }

  async #end(finding: Finding, kind: 'terminated' | 'killed'): Promise<'sent' | 'gone' | 'not-permitted'> {
    const { signals, ledger, log, endMpsClient } = this.#deps;
    const { pid, startTime, gpu } = finding;
    if (startTime === undefined) return 'gone';
    if (kind === 'killed' && finding.mpsClient && endMpsClient !== undefined) await this.#dropClient(() => endMpsClient(pid, gpu), finding);
    const result = signals.send(pid, startTime, kind === 'killed' ? 'SIGKILL' : 'SIGTERM');
    try {
      await ledger.outcome(gpu, `${kind} process ${pid}`, result);
    } catch (cause) {
      log({ pid, cause: cause instanceof Error ? cause.message : String(cause) }, 'what became of a deed cannot be written down');
    }
    return result;
  }

  /** However that ends, the process is killed: it has been told twice. */
  async #dropClient(end: () => Promise<'ended' | 'unknown'>, { pid, gpu }: Finding): Promise<void> {
    const { clock, log } = this.#deps;
    const waiting = new AbortController();
    try {
      const answer = await Promise.race([end(), clock.sleep(endClientMaxMs, waiting.signal).then(() => 'no answer' as const)]);
      if (answer !== 'ended') log({ pid, gpu, answer }, 'the MPS server did not let a client go before it was killed');
    } catch (cause) {
      log({ pid, gpu, cause: cause instanceof Error ? cause.message : String(cause) }, 'the MPS server did not let a client go');
    } finally {
      waiting.abort();
    }
  }

  #tell(action: EnforcementAction): void {
    const { enforcement } = this.#deps.state;
    enforcement.set([...(enforcement.current ?? []), action].slice(-actionsMax));
  }
}

/** The order's allocations, and those that still run though no order names them any more. */
function holdersOf(order: Order, processes: readonly AttributedProcess[]): readonly Holder[] {
  const running = processes.flatMap(({ allocation, devices }) =>
    allocation === undefined || devices === undefined ? [] : [{ id: allocation, devices }],
  );
  return [...new Map([...order.allocations, ...running].map((holder) => [holder.id, holder])).values()];
}

function gpusNamedBy(order: Order): ReadonlySet<GpuUuid> {
  return new Set([...order.gpus.map(({ uuid }) => uuid), ...order.allocations.flatMap(({ devices }) => devices.map(({ gpu }) => gpu))]);
}
