import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { DeviceFact } from '#core/allocation-step';
import type { AllocatedDevice, Order } from '#core/order';
import { DevicePlace } from './device-place.ts';
import type { OwnUse } from './gpu-use.ts';
import type { CudaDevice } from './mps-control.ts';
import type { MpsDaemonSnapshot, NodeState } from './node-state.ts';
import type { ObservedProcess } from './ports.ts';
import { SharedDevice, type SharedDeviceDeps } from './shared-device.ts';
import type { WakingLoop } from './waking-loop.ts';

export interface SharingDeps extends Omit<SharedDeviceDeps, 'onChange'> {
  readonly state: NodeState;
  readonly order: () => Order;
  /** A loop that is run from now until the agent ends. */
  readonly loop: (once: (signal: AbortSignal) => Promise<number | undefined>) => Pick<WakingLoop, 'nudge'>;
  /** How long taking the clients of an allocation off their GPU may take before they are killed all the same. */
  readonly partingMs?: number;
}

const partingMsMax = 5000;

interface Entry {
  readonly device: SharedDevice;
  readonly loop: Pick<WakingLoop, 'nudge'>;
}

/** The devices of this node that are shared, were, or hold something that sharing left. */
export class Sharing {
  readonly #deps: SharingDeps;
  #begun = false;
  readonly #entries = new Map<string, Entry>();
  /** Devices with something of a daemon from an earlier agent, whose place is not known yet. */
  readonly #found = new Set<CudaDevice>();
  /** Allocations that are to be killed: their clients are taken off first. */
  readonly #partings = new Map<string, 'under way' | 'over'>();

  constructor(deps: SharingDeps) {
    this.#deps = deps;
  }

  /** Begins, with the devices that have daemons of an earlier agent. Before it, nothing may be cut. */
  adopt(devices: readonly CudaDevice[]): void {
    for (const device of devices) this.#found.add(device);
    this.#begun = true;
  }

  /** There is another order, or another listing. */
  notice(): void {
    this.#ensure();
    const named = new Set<string>(this.#deps.order().allocations.map(({ id }) => id));
    for (const id of [...this.#partings.keys()]) if (!named.has(id) && !this.#deps.holdings.has(id)) this.#partings.delete(id);
    for (const { device, loop } of this.#entries.values()) {
      device.forget((id) => named.has(id));
      loop.nudge();
    }
  }

  /** See {@link SharedDevice.fact}. */
  fact(id: string, { gpu, slice, share }: AllocatedDevice, base: DeviceFact): DeviceFact {
    this.#ensure();
    const entry = this.#entries.get(this.#place(gpu, slice).key);
    if (entry === undefined) return base;
    const fact = entry.device.fact(id, share, base);
    if (fact.kind === 'coming' && base.kind === 'ready' && !entry.device.knows(id, base.visible[0])) entry.loop.nudge();
    return fact;
  }

  obstacle({ gpu, slice }: AllocatedDevice): string | undefined {
    return this.#entries.get(this.#place(gpu, slice).key)?.device.obstacle;
  }

  /** What has to go before a device may be cut. */
  usesOf(gpu: GpuUuid): readonly OwnUse[] {
    this.#ensure();
    return this.#on(gpu).flatMap(({ place, inUseBy }) => (inUseBy === undefined ? [] : [{ slice: place.slice, text: inUseBy }]));
  }

  /** Daemons and servers of ours on a GPU. */
  processesOn(gpu: GpuUuid): readonly number[] {
    return this.#on(gpu).flatMap((device) => device.processes);
  }

  /** Clients of the daemons of this node, as far as they are known. */
  get clients(): readonly ObservedProcess[] {
    return [...this.#entries.values()].flatMap(({ device }) => device.clients);
  }

  /**
   * Whether the processes of an allocation may be killed: killing an MPS client at work may take its server, and so the
   * other clients, with it. The first time it begins to take them off; `onProgress` says when that is over.
   */
  mayKill(id: string): boolean {
    const devices = this.#deps.holdings.devicesOf(id).filter(({ share }) => share?.kind === 'mps');
    if (devices.length === 0) return true;
    const parting = this.#partings.get(id);
    if (parting !== undefined) return parting === 'over';
    this.#partings.set(id, 'under way');
    void this.#disconnect(id, devices).then(() => {
      this.#partings.set(id, 'over');
      this.#deps.onProgress();
    });
    return false;
  }

  /** Takes one process off a GPU; `unknown` where it is no client of ours, or its server does not answer in time. Never fails. */
  async endClient(pid: number, gpu: GpuUuid): Promise<'ended' | 'unknown'> {
    let ended = 0;
    await this.#within(async (signal) => {
      const counts = await Promise.all(this.#on(gpu).map((device) => device.disconnect([pid], 'a process that is to end', signal)));
      ended = counts.reduce((sum, count) => sum + count, 0);
    });
    return ended > 0 ? 'ended' : 'unknown';
  }

  #disconnect(id: string, devices: readonly AllocatedDevice[]): Promise<void> {
    return this.#within(async (signal) => {
      const members = (await this.#deps.pids()).get(id) ?? [];
      const places = devices.map(({ gpu, slice }) => this.#place(gpu, slice).key);
      await Promise.all(places.map((key) => this.#entries.get(key)?.device.disconnect(members, id, signal)));
    });
  }

  /** What was not done in time is in the ledger; whoever waits for it goes on. */
  async #within(work: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
    const { clock, partingMs = partingMsMax } = this.#deps;
    const over = new AbortController();
    await Promise.race([work(over.signal).catch(() => undefined), clock.sleep(partingMs, over.signal)]);
    over.abort();
  }

  /** A device for each place that is shared by order, or that has something left of it. */
  #ensure(): void {
    if (!this.#begun) return;
    const { state, modes, order } = this.#deps;
    for (const { devices } of order().allocations)
      for (const { gpu, slice, share } of devices) if (share !== undefined) this.#entry(this.#place(gpu, slice));
    for (const gpu of modes.gpus()) this.#entry(this.#place(gpu, undefined));
    for (const at of this.#found) {
      const place = state.known.map((gpu) => this.#placeOf(gpu, at)).find((found) => found !== undefined);
      if (place === undefined) continue;
      this.#found.delete(at);
      const { device, loop } = this.#entry(place);
      device.adopt(at);
      loop.nudge();
    }
  }

  #entry(place: DevicePlace): Entry {
    const known = this.#entries.get(place.key);
    if (known !== undefined) return known;
    const device = new SharedDevice(place, { ...this.#deps, onChange: () => this.#tell(place.gpu) });
    const loop = this.#deps.loop(async (signal) => {
      const comeBackInMs = await device.work(signal);
      this.#tell(place.gpu);
      return comeBackInMs;
    });
    const entry = { device, loop };
    this.#entries.set(place.key, entry);
    return entry;
  }

  #placeOf(gpu: GpuUuid, at: CudaDevice): DevicePlace | undefined {
    if (gpu === at) return this.#place(gpu, undefined);
    const slice = this.#deps.state.gpu(gpu)?.slices.find(({ migUuid }) => migUuid === at);
    return slice === undefined ? undefined : this.#place(gpu, { profile: slice.profile, start: slice.start });
  }

  #place(gpu: GpuUuid, slice: WantedSlice | undefined): DevicePlace {
    return new DevicePlace(gpu, slice, this.#deps.state);
  }

  #on(gpu: GpuUuid): readonly SharedDevice[] {
    return [...this.#entries.values()].map(({ device }) => device).filter(({ place }) => place.gpu === gpu);
  }

  #tell(gpu: GpuUuid): void {
    const { state } = this.#deps;
    const findings = this.#on(gpu).map(({ finding }) => finding);
    const text = (texts: readonly (string | undefined)[]): string | undefined =>
      texts.filter((one) => one !== undefined).join('; ') || undefined;
    state.setCondition(gpu, 'mps-failed', text(findings.map(({ failed }) => failed)));
    state.setCondition(gpu, 'mps-fault', text(findings.map(({ fault }) => fault)));
    const daemons = this.#on(gpu).map(({ snapshot }) => snapshot);
    state.setMpsDaemons(
      gpu,
      daemons.filter((one): one is MpsDaemonSnapshot => one !== undefined),
    );
  }
}
