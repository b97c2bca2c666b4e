/**
 * What a GPU model is made of. One JSON file a model in `data/models`; numbers
 * come from recorded outputs, and `withoutCapture` names those that do not.
 */
export interface GpuModel {
  readonly key: string;
  readonly productName: string;
  readonly architecture: string;
  readonly computeCapability: string;
  readonly pciDeviceId: string;
  readonly pciSubSystemId: string;
  readonly vbiosVersion: string;
  readonly boardPartNumber: string;
  readonly gpuPartNumber: string;
  readonly inforomImage: string;
  readonly inforomOem: string;
  readonly inforomEcc: string;
  readonly memoryTotalMiB: number;
  readonly memoryReservedMiB: number;
  readonly bar1TotalMiB: number;
  readonly powerLimitWatts: number;
  readonly powerMinWatts: number;
  readonly powerIdleWatts: number;
  readonly temperatureIdleC: number;
  readonly graphicsClockMaxMhz: number;
  readonly graphicsClockIdleMhz: number;
  /** Fastest first. */
  readonly memoryClocksMhz: readonly number[];
  readonly videoClockMaxMhz: number;
  readonly videoClockIdleMhz: number;
  readonly pcieGeneration: number;
  /** Prints a margin to the limit (`temperature.gpu.tlimit`) instead of fixed thresholds. */
  readonly reportsThermalMargin: boolean;
  readonly reportsMemoryTemperature: boolean;
  /** `null` where the part retires pages instead of remapping rows. */
  readonly rowRemapBanks: number | null;
  readonly inFabric: boolean;
  readonly c2cMode: string | null;
  readonly edppMultiplier: string | null;
  readonly addressingMode: string;
  readonly onModuleBoard: boolean;
  /** Between any two GPUs, or those of each pair; `null` where it has no NVLink. */
  readonly nvlink: { readonly links: number; readonly reach: 'all' | 'pairs' } | null;
  readonly withoutCapture: readonly string[];
  readonly mig: MigTable | null;
}

export interface MigTable {
  readonly computeSlices: number;
  /** Length of the line that placements (`start:size`) are cut from. */
  readonly placementUnits: number;
  /** BAR1 shared out over the instances, slightly less than the board's. */
  readonly bar1WholeMiB: number;
  readonly modeChangeNeedsReset: boolean;
  readonly modeSurvivesReboot: boolean;
  /** In the order of `mig -lgip`. */
  readonly profiles: readonly InstanceProfile[];
}

export interface InstanceProfile {
  readonly name: string;
  readonly id: number;
  /** Place in NVML's own enumeration, which `mig -lgi` sorts by. */
  readonly nvmlOrder: number;
  readonly instancesTotal: number;
  /** As printed: the driver rounds, so it is text. */
  readonly memoryGiB: string;
  readonly memoryMiB: number;
  readonly slices: number;
  readonly sm: number;
  readonly dec: number;
  readonly enc: number;
  readonly ce: number;
  readonly jpeg: number;
  readonly ofa: number;
  readonly starts: readonly number[];
  readonly size: number;
  /** `+me` and `+me.all`: at most one such instance a GPU. */
  readonly holdsMediaExtensions: boolean;
  readonly defaultComputeProfileId: number;
  readonly computeProfiles: readonly ComputeProfile[];
}

export interface ComputeProfile {
  readonly id: number;
  readonly name: string;
  readonly instancesTotal: number;
  readonly sm: number;
  readonly slices: number;
}

export function requireProfile(table: MigTable, profileId: number): InstanceProfile {
  const profile = table.profiles.find((candidate) => candidate.id === profileId);
  if (!profile) throw new Error(`the state names GPU instance profile ${profileId}, which this model lacks`);
  return profile;
}

export function requireComputeProfile(profile: InstanceProfile, computeProfileId: number): ComputeProfile {
  const found = profile.computeProfiles.find((candidate) => candidate.id === computeProfileId);
  if (!found) throw new Error(`the state names compute profile ${computeProfileId}, which ${profile.name} lacks`);
  return found;
}
