import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { Clock } from '@astrago/shared/runtime/clock';
import type { DeviceFact, Failure } from '#core/allocation-step';
import type { Share } from '#core/order';
import { mpsLimitsOf } from '#core/sharing/mps-limits';
import {
  type MpsDaemonNow,
  nextSharingStep,
  type SharingNow,
  type SharingOutlook,
  type SharingStep,
  wishOf,
} from '#core/sharing/next-sharing-step';
import type { ComputeModes, ModeMemory } from './compute-modes.ts';
import type { DevicePlace } from './device-place.ts';
import type { Held, Holdings } from './holdings.ts';
import { type CudaDevice, type MpsControl, MpsFault } from './mps-control.ts';
import { disconnectClients } from './mps-parting.ts';
import type { MpsDaemonSnapshot } from './node-state.ts';
import { DriverFault, type GpuDriver, type Ledger } from './ports.ts';
import { isUnanswered } from './setbacks.ts';
import { describe, run } from './sharing-steps.ts';
import { SharingTrouble } from './sharing-trouble.ts';
import { lookAgainMs, Strangers } from './strangers.ts';

export interface SharedDeviceDeps {
  readonly control: MpsControl;
  readonly computeModes: ComputeModes;
  readonly modes: ModeMemory;
  readonly driver: Pick<GpuDriver, 'observeProcesses'>;
  readonly ledger: Pick<Ledger, 'intent' | 'outcome'>;
  readonly clock: Clock;
  readonly holdings: Holdings;
  readonly waiting: (gpu: GpuUuid) => readonly Held[];
  /** Live processes of all allocations. */
  readonly pids: () => Promise<ReadonlyMap<string, readonly number[]>>;
  readonly strangersTimeoutMs: number;
  /** Something may start now, or need not wait any longer. */
  readonly onProgress: () => void;
  /** What there is to tell of it is another. */
  readonly onChange: () => void;
  /** Nothing of sharing is left on a device. */
  readonly onFreed: () => void;
}

interface Considered {
  readonly at: CudaDevice;
  readonly ids: ReadonlySet<string>;
  /** Those for whom all is as they want it. */
  readonly ready: ReadonlySet<string>;
}

/**
 * Brings one device, a GPU or a slice, to the way its allocations hold it: compute mode, MPS daemon, limits. One step at
 * a time, each decided on a fresh look. Devices do not wait for each other.
 */
export class SharedDevice {
  readonly place: DevicePlace;
  readonly #deps: SharedDeviceDeps;
  readonly #trouble: SharingTrouble;
  readonly #strangers: Strangers;
  /** Told to have failed; they never come back to life. */
  readonly #failed = new Map<string, { readonly failure: Failure; readonly detail: string }>();
  readonly #greeted = new Set<string>();
  /** The device that has a daemon, or may have one: the UUID it was started for. */
  #daemonAt: CudaDevice | undefined;
  #daemon: MpsDaemonNow = { kind: 'absent' };
  /** It has answered since it was last seen to be gone. */
  #isUp = false;
  /** Who was taken into account when it was last looked at. */
  #considered: Considered | undefined;
  #taking: SharingStep['kind'] | undefined;
  #tried: SharingStep['kind'] | undefined;
  /** The last step that was said to be done; the same one again means that it did nothing. */
  #done: string | undefined;
  #obstacle: string | undefined;

  constructor(place: DevicePlace, deps: SharedDeviceDeps) {
    this.place = place;
    this.#deps = deps;
    const { driver, clock, strangersTimeoutMs: timeoutMs } = deps;
    this.#trouble = new SharingTrouble(clock);
    this.#strangers = new Strangers({ gpu: place.gpu, driver, clock, ours: () => this.processes, timeoutMs });
  }

  /** An earlier agent left something of a daemon here. */
  adopt(at: CudaDevice): void {
    this.#daemonAt ??= at;
  }

  /** Steps until nothing can be done now. Says when to come back, if there is a reason to. What MPS or the driver do not do becomes a finding. */
  async work(signal: AbortSignal): Promise<number | undefined> {
    try {
      while (!signal.aborted && (await this.#stepOnce(signal)));
    } catch (fault) {
      if (!(fault instanceof MpsFault || fault instanceof DriverFault)) throw fault;
      this.#suffer(fault);
    }
    return this.#comeBackInMs();
  }

  /**
   * How the device stands for an allocation, given how it stands without regard to sharing. Ready is meant for the
   * moment: nothing may be awaited before it is held.
   */
  fact(id: string, share: Share | undefined, base: DeviceFact): DeviceFact {
    if (base.kind !== 'ready') return base;
    const failed = this.#failed.get(id);
    if (failed !== undefined) return { kind: 'failed', ...failed };
    if (share === undefined && !this.#isInvolved([])) return base;
    const at = base.visible[0];
    if (this.#taking !== undefined || at === undefined || !this.knows(id, at) || this.#considered?.ready.has(id) !== true)
      return { kind: 'coming' };
    if (share?.kind !== 'mps') return base;
    const { control } = this.#deps;
    // A client that finds no daemon runs without MPS and without limits.
    if (!control.isAlive(at)) return { kind: 'coming' };
    return { ...base, environment: control.clientEnvironment(at, mpsLimitsOf(share, this.place.capacity.memoryMiB)) };
  }

  /** Whether the last look has taken this allocation into account; else another one is due. */
  knows(id: string, at: CudaDevice | undefined): boolean {
    return this.#considered?.at === at && this.#considered?.ids.has(id) === true;
  }

  get obstacle(): string | undefined {
    return this.#trouble.failure ?? this.#obstacle;
  }

  /** Something of ours is on the device, or a compute mode of ours: it has to go before the device may be cut. */
  get inUseBy(): string | undefined {
    if (this.#daemonAt !== undefined || this.#taking === 'start-mps') return `MPS control daemon of ${this.place.name}`;
    return this.#modeChanged() === undefined ? undefined : 'compute mode';
  }

  /** Daemon and servers. */
  get processes(): readonly number[] {
    return this.#daemonAt === undefined ? [] : this.#deps.control.processesOf(this.#daemonAt);
  }

  /** For a person; `undefined` when all is well. */
  get finding(): { readonly failed: string | undefined; readonly fault: string | undefined } {
    const faulty = this.#servers().filter((server) => server.state === 'fault');
    const failed = this.#trouble.finding;
    return {
      failed: failed === undefined ? undefined : `${this.place.name}: ${failed}`,
      fault:
        faulty.length === 0 ? undefined : `${this.place.name}: MPS server ${faulty.map(({ pid }) => pid).join(', ')} lets its clients end`,
    };
  }

  get snapshot(): MpsDaemonSnapshot | undefined {
    const device =
      this.#daemonAt ?? (this.#taking === 'start-mps' || this.#trouble.finding !== undefined ? this.place.cudaDevice : undefined);
    if (device === undefined) return undefined;
    return { device, state: this.#daemonState(), clientPids: this.#servers().flatMap(({ clients }) => clients) };
  }

  /** See {@link disconnectClients}. */
  async disconnect(members: readonly number[], whose: string, signal: AbortSignal): Promise<number> {
    const at = this.#daemonAt;
    return at === undefined ? 0 : disconnectClients({ ...this.#deps, gpu: this.place.gpu, at, members, whose }, signal);
  }

  async #stepOnce(signal: AbortSignal): Promise<boolean> {
    this.#noticeNews();
    this.#tried = undefined;
    // A GPU that is not listed now may come back with all that is on it.
    if (!this.place.isListed) return false;
    const at = this.#daemonAt ?? this.place.cudaDevice ?? (this.#modeChanged() === undefined ? undefined : this.place.gpu);
    if (at === undefined || !this.#isInvolved(this.#holders())) {
      this.#considered = undefined;
      this.#rest(undefined);
      if (this.#trouble.restsMs === 0) this.#trouble.well();
      return false;
    }
    await this.#lookAtDaemon(at, signal);
    const mode = this.place.slice === undefined ? await this.#deps.computeModes.computeMode(this.place.gpu, signal) : undefined;
    const outlook = this.#outlook(at, mode, []);
    if (outlook.step?.kind !== 'set-compute-mode') return this.#proceed(at, outlook, signal);
    // What changes the mode is decided on who is there at this moment.
    const others = await this.#others(signal);
    return this.#proceed(at, this.#outlook(at, mode, others), signal);
  }

  /** Nothing is awaited between the outlook and the mark that keeps starts away. */
  async #proceed(at: CudaDevice, outlook: SharingOutlook, signal: AbortSignal): Promise<boolean> {
    const idsOf = (holders: readonly Held[]): ReadonlySet<string> => new Set(holders.map(({ id }) => id));
    this.#considered = { at, ids: idsOf(this.#holders()), ready: outlook.ready ? idsOf(this.#inOneWay()) : new Set() };
    this.#tellStrangers(outlook);
    const { step } = outlook;
    if (step === undefined || this.#trouble.rests(step.kind)) {
      this.#rest(outlook.obstacle);
      // Gone, and the device is there under another name by now.
      if (step === undefined && this.#daemon.kind === 'absent' && this.#daemonAt !== undefined) {
        this.#daemonAt = undefined;
        this.#deps.onFreed();
        return true;
      }
      if (step === undefined && this.#daemon.kind === 'unanswering')
        throw new MpsFault('timed-out', 'get_server_list', this.#daemon.detail);
      if (outlook.ready && this.#trouble.restsMs === 0) this.#trouble.well();
      this.#deps.onProgress();
      return false;
    }
    this.#tried = step.kind;
    this.#taking = step.kind;
    this.#deps.onChange();
    try {
      return await this.#take(at, step, signal);
    } finally {
      this.#taking = undefined;
    }
  }

  async #take(at: CudaDevice, step: SharingStep, signal: AbortSignal): Promise<boolean> {
    const { ledger } = this.#deps;
    const text = `${describe(step)} ${this.place.name}`;
    if (this.#done === text) throw new MpsFault('failed', text, 'reported as done, and nothing shows of it');
    if (step.kind === 'start-mps') this.#daemonAt = at;
    await ledger.intent(this.place.gpu, text);
    let fault: unknown;
    try {
      await run(step, at, this.place.gpu, this.#deps, signal);
    } catch (thrown) {
      if (!(thrown instanceof MpsFault || thrown instanceof DriverFault)) throw thrown;
      fault = thrown;
    }
    await ledger.outcome(this.place.gpu, text, fault instanceof Error ? fault.message : 'done');
    if (fault !== undefined) throw fault;
    this.#done = text;
    if (step.kind === 'forget-compute-mode') this.#deps.onFreed();
    return true;
  }

  async #lookAtDaemon(at: CudaDevice, signal: AbortSignal): Promise<void> {
    const wasUp = this.#isUp && !isEnd(this.#done);
    const mayBe = this.#daemonAt !== undefined || this.#holders().some(({ share }) => share?.kind === 'mps');
    const daemon: MpsDaemonNow = mayBe ? await this.#deps.control.look(at, signal) : { kind: 'absent' };
    this.#daemon = daemon;
    if (daemon.kind !== 'absent') this.#daemonAt ??= at;
    if (daemon.kind !== 'unanswering') this.#isUp = daemon.kind === 'running';
    if (wasUp && (daemon.kind === 'dead' || daemon.kind === 'absent')) this.#trouble.died();
  }

  #outlook(at: CudaDevice, mode: SharingNow['mode'], others: readonly string[]): SharingOutlook {
    const device = this.place.capacity;
    // What its daemon was started for is gone: whoever holds the place now needs another one.
    const wish = at === this.place.cudaDevice ? wishOf(this.#inOneWay(), device) : { kind: 'nothing' as const };
    const held = this.place.among(this.#deps.holdings.on(this.place.gpu)).length > 0;
    return nextSharingStep(wish, { device, mode, modeChanged: this.#modeChanged(), daemon: this.#daemon, held, others });
  }

  async #others(signal: AbortSignal): Promise<readonly string[]> {
    const { pids, holdings } = this.#deps;
    const seen = await this.#strangers.look(signal);
    const byAllocation = await pids();
    const ours = new Set(holdings.on(this.place.gpu).flatMap(({ id }) => byAllocation.get(id) ?? []));
    return seen.filter(({ pid }) => pid === undefined || !ours.has(pid)).map(({ text }) => text);
  }

  #tellStrangers({ strangers, obstacle }: SharingOutlook): void {
    if (strangers.length === 0) {
      this.#strangers.outOfTheWay();
      return;
    }
    const waiting = this.place.among(this.#deps.waiting(this.place.gpu)).filter(({ id }) => !this.#failed.has(id));
    for (const id of this.#strangers.inTheWayOf(waiting.map((one) => one.id)))
      this.#failed.set(id, { failure: 'gpu-in-use', detail: obstacle ?? strangers.join(', ') });
  }

  #rest(obstacle: string | undefined): void {
    this.#obstacle = obstacle;
    this.#done = undefined;
  }

  #suffer(fault: MpsFault | DriverFault): void {
    if (this.#considered !== undefined) this.#considered = { ...this.#considered, ready: new Set() };
    this.#rest(fault.message);
    // A driver that does not answer says nothing of the step.
    if (!(fault instanceof DriverFault && isUnanswered(fault)))
      this.#trouble.failed(this.#tried, fault.message, fault.code === 'program-missing' || fault.code === 'no-permission');
    const { failure } = this.#trouble;
    if (failure !== undefined)
      for (const { id, share } of this.place.among(this.#deps.waiting(this.place.gpu)))
        if (share !== undefined) this.#failed.set(id, { failure: 'create-failed', detail: failure });
    this.#deps.onProgress();
  }

  #noticeNews(): void {
    const present = new Set(this.#holders().map(({ id }) => id));
    for (const id of [...this.#greeted]) if (!present.has(id)) this.#greeted.delete(id);
    const newcomers = [...present].filter((id) => !this.#greeted.has(id));
    for (const id of newcomers) this.#greeted.add(id);
    if (newcomers.length > 0) this.#trouble.tryAgain();
  }

  /** Drops what was remembered of allocations that no order names any more. */
  forget(isNamed: (id: string) => boolean): void {
    for (const id of [...this.#failed.keys()]) if (!isNamed(id)) this.#failed.delete(id);
  }

  #isInvolved(holders: readonly Held[]): boolean {
    return this.#daemonAt !== undefined || this.#modeChanged() !== undefined || holders.some(({ share }) => share !== undefined);
  }

  #modeChanged(): ReturnType<ModeMemory['get']> {
    return this.place.slice === undefined ? this.#deps.modes.get(this.place.gpu) : undefined;
  }

  #holders(): readonly Held[] {
    return [
      ...this.place.among(this.#deps.holdings.on(this.place.gpu)),
      ...this.place.among(this.#deps.waiting(this.place.gpu)).filter(({ id }) => !this.#failed.has(id)),
    ];
  }

  /** What still runs of an older order holds the device in its own way; who wants another one waits. */
  #inOneWay(): readonly Held[] {
    const holders = this.#holders();
    return holders.filter(({ share }) => share?.kind === holders[0]?.share?.kind);
  }

  #servers(): Extract<MpsDaemonNow, { kind: 'running' }>['servers'] {
    return this.#daemon.kind === 'running' && this.#daemonAt !== undefined ? this.#daemon.servers : [];
  }

  #daemonState(): MpsDaemonSnapshot['state'] {
    if (this.#taking === 'stop-mps' || this.#taking === 'clear-mps') return 'stopping';
    if (this.#trouble.finding !== undefined) return 'failed';
    if (this.#daemon.kind !== 'running') return 'starting';
    return this.#daemon.servers.some((server) => server.state === 'fault') ? 'fault' : 'ready';
  }

  #comeBackInMs(): number | undefined {
    const restsMs = this.#trouble.restsMs;
    const reasons = [
      restsMs > 0 ? restsMs : undefined,
      this.#strangers.comeBackInMs,
      // Something must end by itself first, and nothing tells when it has.
      this.#obstacle === undefined ? undefined : lookAgainMs,
    ].filter((ms) => ms !== undefined);
    return reasons.length === 0 ? undefined : Math.min(...reasons);
  }
}

/** The step after which a daemon is gone by our own doing. */
function isEnd(step: string | undefined): boolean {
  return step !== undefined && /^(stop|clear) /.test(step);
}
