/** What a simulated machine remembers between two calls: `state.json`. */
export interface MachineState {
  readonly version: 1;
  readonly modelKey: string;
  readonly seed: string;
  readonly driverVersion: string;
  /** What a boot brings back; persistence itself is not kept by the driver. */
  readonly persistenceAtBoot: boolean;
  /** Where it is not as machines of the model are. */
  readonly topology?: Partial<MachineTopology>;
  bootedAtMs: number;
  gpus: GpuState[];
}

/** How its devices are connected. */
export interface MachineTopology {
  readonly nvlink: 'all' | 'pairs' | 'none';
  readonly numaNodes: number;
  /** Network cards in the table. */
  readonly nics: number;
}

export interface GpuState {
  readonly index: number;
  readonly uuid: string;
  readonly serial: string;
  readonly pdi: string;
  /** `00000000:1B:00.0`, upper case as printed. */
  readonly busId: string;
  persistence: boolean;
  computeMode: ComputeMode;
  powerLimitWatts: number;
  migCurrent: boolean;
  migPending: boolean;
  instances: GpuInstance[];
  /** 0 to 3, as `compute-policy` sets it; absent for the default. */
  timeslice?: number;
  lockedGpuClocks?: ClockRange;
  lockedMemoryClocks?: ClockRange;
}

/** In MHz. */
export interface ClockRange {
  readonly min: number;
  readonly max: number;
}

export type ComputeMode = 'Default' | 'Exclusive_Process' | 'Prohibited';

export interface GpuInstance {
  readonly id: number;
  readonly profileId: number;
  readonly start: number;
  computeInstances: ComputeInstance[];
}

export interface ComputeInstance {
  readonly id: number;
  readonly profileId: number;
  readonly start: number;
  readonly migUuid: string;
}

/** One row of what the tools call a MIG device: a compute instance, numbered per GPU. */
export interface MigDevice {
  readonly index: number;
  readonly instance: GpuInstance;
  readonly compute: ComputeInstance;
}

/** Ascending (GPU instance id, compute instance id); an instance without compute instances is no device. */
export function migDevices(gpu: GpuState): readonly MigDevice[] {
  return [...gpu.instances]
    .sort((a, b) => a.id - b.id)
    .flatMap((instance) => [...instance.computeInstances].sort((a, b) => a.id - b.id).map((compute) => ({ instance, compute })))
    .map((device, index) => ({ index, ...device }));
}
