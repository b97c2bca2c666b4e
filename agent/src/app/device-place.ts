import type { GpuUuid } from '@astrago/shared/domain/ids';
import { formatSlice, type LiveSlice, sameSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import { capacityOf, type DeviceCapacity } from '#core/sharing/device-capacity';
import type { CudaDevice } from './mps-control.ts';
import type { NodeState } from './node-state.ts';

/** A device by where it is, which stays, and not by the UUID that CUDA knows it by, which a slice gets anew each time it is cut. */
export class DevicePlace {
  readonly gpu: GpuUuid;
  /** Absent: the whole GPU. */
  readonly slice: WantedSlice | undefined;
  readonly #state: Pick<NodeState, 'gpu'>;

  constructor(gpu: GpuUuid, slice: WantedSlice | undefined, state: Pick<NodeState, 'gpu'>) {
    this.gpu = gpu;
    this.slice = slice;
    this.#state = state;
  }

  /** Equal for equal places. */
  get key(): string {
    return `${this.gpu} ${this.name}`;
  }

  /** Within its GPU. */
  get name(): string {
    return this.slice === undefined ? 'the GPU' : formatSlice(this.slice);
  }

  get isListed(): boolean {
    return this.#state.gpu(this.gpu) !== undefined;
  }

  /** As CUDA names it now; `undefined` while it is not there. */
  get cudaDevice(): CudaDevice | undefined {
    const { slice } = this;
    const gpu = this.#state.gpu(this.gpu);
    if (gpu === undefined) return undefined;
    if (slice === undefined) return gpu.migEnabled || gpu.migPending === true ? undefined : gpu.uuid;
    return this.live?.migUuid;
  }

  /** The slice as it is there now; `undefined` on a whole GPU too. */
  get live(): LiveSlice | undefined {
    const { slice } = this;
    return slice === undefined ? undefined : this.#state.gpu(this.gpu)?.slices.find((live) => sameSlice(live, slice));
  }

  get capacity(): DeviceCapacity {
    const gpu = this.#state.gpu(this.gpu);
    return capacityOf({ memoryMiB: gpu?.memoryMiB, profiles: gpu?.profiles ?? [] }, this.slice, undefined);
  }

  /** Those of one GPU's holders that hold this device. */
  among<T extends { readonly slice: WantedSlice | undefined }>(held: readonly T[]): readonly T[] {
    const own = this.slice;
    return held.filter(({ slice }) => (slice === undefined || own === undefined ? slice === own : sameSlice(slice, own)));
  }
}
