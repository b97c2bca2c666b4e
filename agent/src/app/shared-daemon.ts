import type { MpsDaemonNow, MpsServerNow } from '#core/sharing/next-sharing-step';
import type { DevicePlace } from './device-place.ts';
import type { CudaDevice, MpsControl } from './mps-control.ts';
import type { MpsDaemonSnapshot } from './node-state.ts';
import type { ObservedProcess } from './ports.ts';

/** What is known of the MPS daemon of one device: for which UUID there is one, or may be one, and how it was last seen. */
export class SharedDaemon {
  readonly #place: DevicePlace;
  readonly #control: MpsControl;
  #at: CudaDevice | undefined;
  #now: MpsDaemonNow = { kind: 'absent' };
  /** It has answered since it was last seen to be gone. */
  #isUp = false;

  constructor(place: DevicePlace, control: MpsControl) {
    this.#place = place;
    this.#control = control;
  }

  /** The UUID it was started for; `undefined` while there is none. */
  get at(): CudaDevice | undefined {
    return this.#at;
  }

  get now(): MpsDaemonNow {
    return this.#now;
  }

  get servers(): readonly MpsServerNow[] {
    return this.#now.kind === 'running' && this.#at !== undefined ? this.#now.servers : [];
  }

  /** Daemon and servers. */
  get processes(): readonly number[] {
    return this.#at === undefined ? [] : this.#control.processesOf(this.#at);
  }

  /** Its clients as processes on the device, for where the driver lists the server alone. */
  get clients(): readonly ObservedProcess[] {
    const { gpu: gpuUuid, live } = this.#place;
    return this.servers
      .flatMap(({ clients }) => clients)
      .flatMap((pid) => {
        const name = this.#control.programOf(pid);
        if (name === undefined) return [];
        const instance = { gpuInstanceId: live?.gpuInstanceId, computeInstanceId: live?.computeInstanceId };
        return [{ gpuUuid, ...instance, pid, name, usedMemoryMiB: undefined, type: 'mps-client' as const }];
      });
  }

  /** For a person; `undefined` where no server has met a fatal fault. */
  get fault(): string | undefined {
    const faulty = this.servers.filter(({ state }) => state === 'fault').map(({ pid }) => pid);
    return faulty.length === 0 ? undefined : `${this.#place.name}: MPS server ${faulty.join(', ')} lets its clients end`;
  }

  get state(): Extract<MpsDaemonSnapshot['state'], 'starting' | 'ready' | 'fault'> {
    if (this.#now.kind !== 'running') return 'starting';
    return this.#now.servers.some(({ state }) => state === 'fault') ? 'fault' : 'ready';
  }

  /** An earlier agent left something of one here, or one is about to be started. */
  expect(at: CudaDevice): void {
    this.#at = at;
  }

  /** Nothing of it is left. */
  forget(): void {
    this.#at = undefined;
  }

  /**
   * @param mayBe something of a daemon may be there; without it nobody is asked.
   * @returns whether it was up and is gone.
   */
  async look(at: CudaDevice, mayBe: boolean, how: 'cheap' | 'fresh', signal: AbortSignal): Promise<boolean> {
    const wasUp = this.#isUp;
    const now: MpsDaemonNow = mayBe || this.#at !== undefined ? await this.#control.look(at, signal, how) : { kind: 'absent' };
    this.#now = now;
    if (now.kind !== 'absent') this.#at ??= at;
    if (now.kind !== 'unanswering') this.#isUp = now.kind === 'running';
    return wasUp && (now.kind === 'dead' || now.kind === 'absent');
  }
}
