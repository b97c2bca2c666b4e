import type { GpuUuid } from '@astrago/shared/domain/ids';
import { formatLayout, type Layout } from '@astrago/shared/domain/mig/layout';
import { formatSlice, type LiveSlice, sameSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { Clock } from '@astrago/shared/runtime/clock';
import type { DeviceFact, Failure } from '#core/allocation-step';
import { inTheWayOf, nextStep, type Outlook, type Step } from '#core/next-step';
import { isStranger, type OwnUse, type Stranger, useOf } from './gpu-use.ts';
import type { Held, Holdings } from './holdings.ts';
import type { LayoutAuthority } from './mig-management.ts';
import type { NodeState } from './node-state.ts';
import { DriverFault, type GpuDriver, type Ledger, type ObservedGpu } from './ports.ts';
import { isUnanswered, type Setback, Setbacks, sentenceOf } from './setbacks.ts';
import { behind, describe, hasEffect, isFor, isRisky } from './step-facts.ts';
import { lookAgainMs, Strangers } from './strangers.ts';

export interface GpuWorkerDeps {
  readonly driver: GpuDriver;
  readonly ledger: Ledger;
  readonly state: NodeState;
  readonly clock: Clock;
  readonly holdings: Holdings;
  /** Allocations that wait for a device of this GPU, with their slice. */
  readonly waiting: (gpu: GpuUuid) => readonly Held[];
  /** What of the sharing of its devices is still there, and must go first. */
  readonly sharedUses?: (gpu: GpuUuid) => readonly OwnUse[];
  /** Processes of our own MPS on it. */
  readonly mpsProcesses?: (gpu: GpuUuid) => readonly number[];
  /** How long strangers may be in the way before what waits behind them has failed. */
  readonly strangersTimeoutMs: number;
  readonly onProgress: () => void;
  /** Absent: always. */
  readonly mayChangeLayouts?: (() => LayoutAuthority) | undefined;
}

/**
 * Brings one GPU to its wanted layout, one step at a time, each decided on a fresh listing. GPUs do not wait for each
 * other: a hang here is a hang here.
 */
export class GpuWorker {
  readonly #uuid: GpuUuid;
  readonly #deps: GpuWorkerDeps;
  readonly #setbacks = new Setbacks();
  /** Told to have failed; they never come back to life, whatever happens to the GPU later. */
  readonly #failed = new Map<string, { readonly failure: Failure; readonly detail: string }>();
  /** Allocations that were a reason to try again, and are none any more. */
  readonly #greeted = new Set<string>();
  #layout: string | undefined;
  readonly #strangers: Strangers;
  /** What is being destroyed or switched: nothing starts on it, whatever the last listing shows. */
  #dismantling: LiveSlice | 'whole' | undefined;
  /** Why the layout is not there yet, for those who wait in vain. */
  #obstacle: string | undefined;

  constructor(uuid: GpuUuid, deps: GpuWorkerDeps) {
    this.#uuid = uuid;
    this.#deps = deps;
    const { driver, clock, strangersTimeoutMs: timeoutMs } = deps;
    this.#strangers = new Strangers({ gpu: uuid, driver, clock, ours: () => deps.mpsProcesses?.(uuid) ?? [], timeoutMs });
  }

  /**
   * Steps until nothing can be done now. Says when to come back, if there is a reason to. Throws no
   * {@link DriverFault}: what the driver does not do becomes a condition.
   */
  async work(signal: AbortSignal): Promise<number | undefined> {
    try {
      while (!signal.aborted && (await this.#stepOnce(signal)));
    } catch (fault) {
      if (!(fault instanceof DriverFault)) throw fault;
      this.#noteFault(fault);
      return lookAgainMs;
    }
    return this.#comeBackInMs();
  }

  /** How a device of an allocation stands. Ready is meant for the moment: nothing may be awaited before it is held. */
  device(id: string, slice: WantedSlice | undefined): DeviceFact {
    const failed = this.#failed.get(id);
    if (failed !== undefined) return { kind: 'failed', ...failed };
    const { state } = this.#deps;
    const gpu = state.gpu(this.#uuid);
    if (gpu === undefined)
      return state.isMissing(this.#uuid)
        ? { kind: 'failed', failure: 'device-lost', detail: `the driver does not list ${this.#uuid}` }
        : { kind: 'coming' };
    if (this.#dismantling === 'whole') return { kind: 'coming' };
    if (slice === undefined)
      return !gpu.migEnabled && gpu.migPending !== true ? { kind: 'ready', visible: [gpu.uuid] } : { kind: 'coming' };
    if (!gpu.migCapable) return { kind: 'failed', failure: 'create-failed', detail: `${gpu.model} cannot be cut` };
    const live = gpu.slices.find((other) => sameSlice(other, slice));
    if (live?.migUuid === undefined || (this.#dismantling !== undefined && sameSlice(this.#dismantling, slice))) return { kind: 'coming' };
    return { kind: 'ready', visible: [live.migUuid] };
  }

  /** Why its layout is not there, in the driver's words where it had any. */
  get obstacle(): string | undefined {
    const authority = this.#deps.mayChangeLayouts?.();
    return authority?.kind === 'no' ? authority.because : this.#obstacle;
  }

  /** Somebody else cuts this GPU: what is in the way of our wish for it is no finding then. */
  #onlyLook(): false {
    for (const kind of ['gpu-in-use', 'mode-change-pending', 'layout-failed'] as const)
      this.#deps.state.setCondition(this.#uuid, kind, undefined);
    return false;
  }

  async #stepOnce(signal: AbortSignal): Promise<boolean> {
    if (this.#deps.mayChangeLayouts?.().kind === 'no') return this.#onlyLook();
    const wanted = this.#wanted();
    const seen = this.#deps.state.gpu(this.#uuid);
    if (wanted === undefined || seen === undefined) return false;
    this.#noticeNews(wanted);
    const outlook = this.#outlook(wanted, seen, this.#strangers.known);
    if (outlook.step === undefined || !isRisky(outlook.step)) return this.#proceed(wanted, seen, outlook, signal);

    // What destroys is decided on what the driver shows at this moment, not on what it showed before (I2).
    const gpu = await this.#relist(signal);
    const strangers = await this.#strangers.look(signal);
    const now = this.#wanted();
    if (now === undefined) return false;
    return this.#proceed(now, gpu, this.#outlook(now, gpu, strangers), signal);
  }

  #wanted(): Layout | undefined {
    return this.#deps.ledger.order.gpus.find((gpu) => gpu.uuid === this.#uuid)?.layout;
  }

  #outlook(wanted: Layout, gpu: ObservedGpu, strangers: readonly Stranger[]): Outlook {
    const nowMs = this.#deps.clock.elapsedMs();
    const resting = (text: string): boolean => this.#setbacks.resting(text, nowMs) !== undefined;
    // A slice that could not be destroyed a moment ago is used by someone, seen or not.
    const stuck = gpu.slices.filter((slice) => resting(describe({ kind: 'destroy', slice })));
    const users = [
      ...strangers,
      ...stuck.map((slice): Stranger => ({ gpuInstanceId: slice.gpuInstanceId, text: 'a client that the driver does not name' })),
    ];
    const given = wanted.kind === 'mig' ? wanted.slices.filter((slice) => resting(describe({ kind: 'create', slice }))) : [];
    const use = useOf(gpu, this.#deps.holdings.on(this.#uuid), users, this.#deps.sharedUses?.(this.#uuid) ?? []);
    const outlook = nextStep(wanted, gpu, use, new Set(given.map(formatSlice)));
    return outlook.step !== undefined && resting(describe(outlook.step)) ? { ...outlook, step: undefined } : outlook;
  }

  /** Takes the step of an outlook, if it has one. Nothing is awaited between the outlook and the mark that keeps starts away. */
  async #proceed(wanted: Layout, gpu: ObservedGpu, outlook: Outlook, signal: AbortSignal): Promise<boolean> {
    const { step } = outlook;
    this.#tell(wanted, gpu, outlook);
    if (step === undefined) return false;
    this.#dismantling = step.kind === 'destroy' ? step.slice : isRisky(step) ? 'whole' : undefined;
    try {
      return await this.#take(step, signal);
    } finally {
      this.#dismantling = undefined;
      this.#deps.onProgress();
    }
  }

  async #take(step: Step, signal: AbortSignal): Promise<boolean> {
    // Also what was decided a moment ago.
    if (this.#deps.mayChangeLayouts?.().kind === 'no') return this.#onlyLook();
    const { ledger, clock } = this.#deps;
    const text = describe(step);
    await ledger.intent(this.#uuid, text);
    let fault: DriverFault | undefined;
    try {
      await this.#run(step, signal);
    } catch (thrown) {
      if (!(thrown instanceof DriverFault)) throw thrown;
      fault = thrown;
    }
    await ledger.outcome(this.#uuid, text, fault?.message ?? 'done');
    if (fault !== undefined && isUnanswered(fault)) {
      this.#setbacks.note(text, fault, clock.elapsedMs());
      throw fault;
    }
    // Also after a failure: a command may have done its work, or half of it, and then failed.
    const gpu = await this.#relist(signal);
    if (hasEffect(step, gpu)) {
      this.#setbacks.succeeded(text);
      return true;
    }
    fault ??= new DriverFault('failed', {
      command: [text],
      output: `the driver reports that it has done this, and lists nothing of it: ${text}`,
    });
    await this.#suffer(step, this.#setbacks.note(text, fault, clock.elapsedMs()), gpu, signal);
    return true;
  }

  async #run(step: Step, signal: AbortSignal): Promise<void> {
    const { driver } = this.#deps;
    switch (step.kind) {
      case 'set-mig-mode':
        await driver.setMigMode(this.#uuid, step.enabled, signal);
        return;
      case 'reset':
        return driver.resetGpu(this.#uuid, signal);
      case 'destroy':
        return driver.destroySlice(this.#uuid, step.slice.gpuInstanceId, signal);
      case 'create':
        return driver.createSlice(this.#uuid, step.slice, signal);
      case 'complete':
        return driver.completeSlice(this.#uuid, step.slice.gpuInstanceId, signal);
      default:
        return step satisfies never;
    }
  }

  /** A step has failed for good: so have those who waited for it, with the names of whoever is in the way. */
  async #suffer(step: Step, setback: Setback, gpu: ObservedGpu, signal: AbortSignal): Promise<void> {
    if (setback.failure === undefined) return;
    let { detail } = setback.failure;
    if (setback.failure.failure === 'gpu-in-use') {
      const names = (await this.#strangers.look(signal)).map((stranger) => stranger.text);
      if (names.length > 0) detail = `${detail} (${names.join(', ')})`;
    }
    this.#failWaiting({ ...setback.failure, detail }, behind(step, gpu));
    this.#deps.state.setCondition(this.#uuid, 'layout-failed', detail);
  }

  #failWaiting(
    failure: { readonly failure: Failure; readonly detail: string },
    isBehind: (slice: WantedSlice | undefined) => boolean,
  ): void {
    for (const { id, slice } of this.#deps.waiting(this.#uuid)) if (isBehind(slice)) this.#failed.set(id, failure);
  }

  /** Another layout, or somebody new who waits, is a reason to try again what had failed. */
  #noticeNews(wanted: Layout): void {
    const named = new Set<string>(this.#deps.ledger.order.allocations.map((allocation) => allocation.id));
    for (const memory of [this.#failed, this.#greeted]) for (const id of [...memory.keys()]) if (!named.has(id)) memory.delete(id);
    const layout = formatLayout(wanted);
    const newcomers = this.#deps.waiting(this.#uuid).filter(({ id }) => !this.#greeted.has(id));
    for (const { id } of newcomers) this.#greeted.add(id);
    if (layout !== this.#layout) {
      this.#layout = layout;
      this.#setbacks.forgive(() => true);
      this.#strangers.startOver();
    }
    // Once for each: what fails after it came, it is told itself.
    const nowMs = this.#deps.clock.elapsedMs();
    this.#setbacks.forgive(
      (text) => this.#setbacks.resting(text, nowMs)?.failure !== undefined && newcomers.some(({ slice }) => isFor(text, slice)),
    );
    if (this.#setbacks.failures.length === 0) this.#deps.state.setCondition(this.#uuid, 'layout-failed', undefined);
  }

  #tell(wanted: Layout, gpu: ObservedGpu, outlook: Outlook): void {
    const { state } = this.#deps;
    // What our own allocations hold goes away by order; only strangers are a finding.
    const blocks = outlook.blocked.filter(({ users }) => users.every(isStranger));
    const text = blocks.map(({ what, users }) => `${what} is used by ${users.join(', ')}`).join('; ');
    state.setCondition(this.#uuid, 'gpu-in-use', blocks.length > 0 ? text : undefined);
    const pending = gpu.migPending !== undefined && outlook.step === undefined;
    state.setCondition(this.#uuid, 'mode-change-pending', pending ? 'the MIG mode takes effect at the next reset of the GPU' : undefined);
    this.#obstacle = outlook.converged
      ? undefined
      : text || this.#setbacks.failures[0] || (pending ? 'the MIG mode waits for a reset' : this.#obstacle);
    if (blocks.length === 0) {
      this.#strangers.outOfTheWay();
      return;
    }
    const modeBlocked = gpu.migEnabled !== (wanted.kind === 'mig') || gpu.migPending !== undefined;
    const stuck = new Set(blocks.map(({ what }) => what));
    const isBehind = (slice: WantedSlice | undefined): boolean =>
      modeBlocked || (slice !== undefined && inTheWayOf(slice, gpu).some((live) => stuck.has(formatSlice(live))));
    this.#losePatience(text, isBehind);
  }

  #losePatience(detail: string, isBehind: (slice: WantedSlice | undefined) => boolean): void {
    const behind = this.#deps.waiting(this.#uuid).filter(({ id, slice }) => !this.#failed.has(id) && isBehind(slice));
    for (const id of this.#strangers.inTheWayOf(behind.map((one) => one.id))) {
      this.#failed.set(id, { failure: 'gpu-in-use', detail });
      this.#deps.onProgress();
    }
  }

  #comeBackInMs(): number | undefined {
    const nowMs = this.#deps.clock.elapsedMs();
    const wakeMs = this.#setbacks.nextWakeMs(nowMs);
    const reasons = [wakeMs === undefined ? undefined : wakeMs - nowMs, this.#strangers.comeBackInMs].filter((ms) => ms !== undefined);
    return reasons.length === 0 ? undefined : Math.min(...reasons);
  }

  #noteFault(fault: DriverFault): void {
    this.#obstacle = isUnanswered(fault) ? `nvidia-smi does not answer: ${fault.message}` : sentenceOf(fault);
    if (fault.code === 'gpu-lost') this.#failWaiting({ failure: 'device-lost', detail: sentenceOf(fault) }, () => true);
    this.#deps.state.noteFault(this.#uuid, fault);
    this.#deps.onProgress();
  }

  async #relist(signal: AbortSignal): Promise<ObservedGpu> {
    const gpu = await this.#deps.driver.observeGpu(this.#uuid, signal);
    this.#deps.state.setGpu(gpu);
    return gpu;
  }
}
