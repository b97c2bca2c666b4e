import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { Clock } from '@astrago/shared/runtime/clock';
import type { DeviceFact } from '#core/allocation-step';
import type { Share } from '#core/order';
import { mpsLimitsOf } from '#core/sharing/mps-limits';
import { nextSharingStep, type SharingNow, type SharingOutlook, type SharingStep, wishOf } from '#core/sharing/next-sharing-step';
import type { ComputeModes, ModeMemory } from './compute-modes.ts';
import type { DevicePlace } from './device-place.ts';
import type { Held, Holdings } from './holdings.ts';
import { type CudaDevice, type MpsControl, MpsFault } from './mps-control.ts';
import { disconnectClients } from './mps-parting.ts';
import type { MpsDaemonSnapshot } from './node-state.ts';
import { DriverFault, type GpuDriver, type Ledger, type ObservedProcess } from './ports.ts';
import { isUnanswered } from './setbacks.ts';
import { SharedDaemon } from './shared-daemon.ts';
import { SharingTrouble } from './sharing-trouble.ts';
import { SharingVerdicts } from './sharing-verdicts.ts';
import { StepTaking } from './step-taking.ts';
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
  readonly #verdicts = new SharingVerdicts();
  readonly #daemon: SharedDaemon;
  /** Who was taken into account when it was last looked at. */
  #considered: Considered | undefined;
  readonly #steps: StepTaking;
  #tried: SharingStep['kind'] | undefined;
  #obstacle: string | undefined;

  constructor(place: DevicePlace, deps: SharedDeviceDeps) {
    this.place = place;
    this.#deps = deps;
    const { driver, clock, strangersTimeoutMs: timeoutMs } = deps;
    this.#trouble = new SharingTrouble(clock);
    this.#daemon = new SharedDaemon(place, deps.control);
    this.#steps = new StepTaking(place, deps);
    this.#strangers = new Strangers({ gpu: place.gpu, driver, clock, ours: () => this.processes, timeoutMs });
  }

  /** An earlier agent left something of a daemon here. */
  adopt(at: CudaDevice): void {
    if (this.#daemon.at === undefined) this.#daemon.expect(at);
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
    const failed = this.#verdicts.of(id);
    if (failed !== undefined) return { kind: 'failed', ...failed };
    if (share === undefined && !this.#isInvolved([])) return base;
    const at = base.visible[0];
    if (this.#steps.now !== undefined || at === undefined || !this.knows(id, at) || this.#considered?.ready.has(id) !== true)
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
    if (this.#daemon.at !== undefined || this.#steps.now === 'start-mps') return `MPS control daemon of ${this.place.name}`;
    return this.#modeChanged() === undefined ? undefined : 'compute mode';
  }

  /** Daemon and servers. */
  get processes(): readonly number[] {
    return this.#daemon.processes;
  }

  /** See {@link SharedDaemon.clients}. */
  get clients(): readonly ObservedProcess[] {
    return this.#daemon.clients;
  }

  /** For a person; `undefined` when all is well. */
  get finding(): { readonly failed: string | undefined; readonly fault: string | undefined } {
    const failed = this.#trouble.finding;
    return { failed: failed === undefined ? undefined : `${this.place.name}: ${failed}`, fault: this.#daemon.fault };
  }

  get snapshot(): MpsDaemonSnapshot | undefined {
    const device =
      this.#daemon.at ?? (this.#steps.now === 'start-mps' || this.#trouble.finding !== undefined ? this.place.cudaDevice : undefined);
    if (device === undefined) return undefined;
    return { device, state: this.#daemonState(), clientPids: this.#daemon.servers.flatMap(({ clients }) => clients) };
  }

  /** See {@link disconnectClients}. */
  async disconnect(members: readonly number[], whose: string, signal: AbortSignal): Promise<number> {
    const { at } = this.#daemon;
    return at === undefined ? 0 : disconnectClients({ ...this.#deps, gpu: this.place.gpu, at, members, whose }, signal);
  }

  async #stepOnce(signal: AbortSignal): Promise<boolean> {
    if (this.#verdicts.greet(this.#holders().map(({ id }) => id))) this.#trouble.tryAgain();
    this.#tried = undefined;
    // A GPU that is not listed now may come back with all that is on it.
    if (!this.place.isListed) return false;
    const at = this.#daemon.at ?? this.place.cudaDevice ?? (this.#modeChanged() === undefined ? undefined : this.place.gpu);
    if (at === undefined || !this.#isInvolved(this.#holders())) {
      this.#considered = undefined;
      this.#rest(undefined);
      if (this.#trouble.restsMs === 0) this.#trouble.well();
      return false;
    }
    await this.#lookAtDaemon(at, 'cheap', signal);
    const mode = this.place.slice === undefined ? await this.#deps.computeModes.computeMode(this.place.gpu, signal) : undefined;
    let outlook = this.#outlook(at, mode, []);
    // What takes something away from others is decided on who is there at this moment.
    if (outlook.step?.kind === 'stop-mps' && this.#daemon.now.kind === 'running') {
      await this.#lookAtDaemon(at, 'fresh', signal);
      outlook = this.#outlook(at, mode, []);
    }
    if (outlook.step?.kind !== 'set-compute-mode') return this.#proceed(at, outlook, signal);
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
      if (step === undefined && this.#daemon.now.kind === 'absent' && this.#daemon.at !== undefined) {
        this.#daemon.forget();
        this.#deps.onFreed();
        return true;
      }
      const { now } = this.#daemon;
      if (step === undefined && now.kind === 'unanswering') throw new MpsFault('timed-out', 'get_server_list', now.detail);
      if (outlook.ready && this.#trouble.restsMs === 0) this.#trouble.well();
      this.#deps.onProgress();
      return false;
    }
    this.#tried = step.kind;
    if (step.kind === 'start-mps') this.#daemon.expect(at);
    const taking = this.#steps.take(step, at, signal);
    this.#deps.onChange();
    await taking;
    if (step.kind === 'forget-compute-mode') this.#deps.onFreed();
    return true;
  }

  async #lookAtDaemon(at: CudaDevice, how: 'cheap' | 'fresh', signal: AbortSignal): Promise<void> {
    const { hasEndedDaemon } = this.#steps;
    const isGone = await this.#daemon.look(
      at,
      this.#holders().some(({ share }) => share?.kind === 'mps'),
      how,
      signal,
    );
    if (isGone && !hasEndedDaemon) this.#trouble.died();
  }

  #outlook(at: CudaDevice, mode: SharingNow['mode'], others: readonly string[]): SharingOutlook {
    const device = this.place.capacity;
    // What its daemon was started for is gone: whoever holds the place now needs another one.
    const wish = at === this.place.cudaDevice ? wishOf(this.#inOneWay(), device) : { kind: 'nothing' as const };
    const held = this.place.among(this.#deps.holdings.on(this.place.gpu)).length > 0;
    return nextSharingStep(wish, { device, mode, modeChanged: this.#modeChanged(), daemon: this.#daemon.now, held, others });
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
    const ids = this.#strangers.inTheWayOf(this.#waiting().map(({ id }) => id));
    this.#verdicts.fail(ids, { failure: 'gpu-in-use', detail: obstacle ?? strangers.join(', ') });
  }

  #rest(obstacle: string | undefined): void {
    this.#obstacle = obstacle;
    this.#steps.rest();
  }

  #suffer(fault: MpsFault | DriverFault): void {
    if (this.#considered !== undefined) this.#considered = { ...this.#considered, ready: new Set() };
    this.#rest(fault.message);
    // A driver that does not answer says nothing of the step.
    if (!(fault instanceof DriverFault && isUnanswered(fault)))
      this.#trouble.failed(this.#tried, fault.message, fault.code === 'program-missing' || fault.code === 'no-permission');
    const { failure } = this.#trouble;
    const asked = this.#waiting().filter(({ share }) => share !== undefined);
    if (failure !== undefined)
      this.#verdicts.fail(
        asked.map(({ id }) => id),
        { failure: 'create-failed', detail: failure },
      );
    this.#deps.onProgress();
  }

  /** Drops what was remembered of allocations that no order names any more. */
  forget(isNamed: (id: string) => boolean): void {
    this.#verdicts.forget(isNamed);
  }

  #isInvolved(holders: readonly Held[]): boolean {
    return this.#daemon.at !== undefined || this.#modeChanged() !== undefined || holders.some(({ share }) => share !== undefined);
  }

  #modeChanged(): ReturnType<ModeMemory['get']> {
    return this.place.slice === undefined ? this.#deps.modes.get(this.place.gpu) : undefined;
  }

  #holders(): readonly Held[] {
    return [...this.place.among(this.#deps.holdings.on(this.place.gpu)), ...this.#waiting()];
  }

  #waiting(): readonly Held[] {
    return this.#verdicts.living(this.place.among(this.#deps.waiting(this.place.gpu)));
  }

  /** What still runs of an older order holds the device in its own way; who wants another one waits. */
  #inOneWay(): readonly Held[] {
    const holders = this.#holders();
    return holders.filter(({ share }) => share?.kind === holders[0]?.share?.kind);
  }

  #daemonState(): MpsDaemonSnapshot['state'] {
    if (this.#steps.now === 'stop-mps' || this.#steps.now === 'clear-mps') return 'stopping';
    if (this.#trouble.finding !== undefined) return 'failed';
    return this.#daemon.state;
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
