import type { GpuSample, GpuWords } from '../telemetry/sample.ts';

/** What the driver asks for, in its own words. */
export type RecoveryWord = NonNullable<GpuWords['recoveryAction']>;

/** As NVML numbers them (`nvmlDeviceGpuRecoveryAction_t`). 5 is about a domain of several nodes, and not about the GPU. */
const numbered: readonly (RecoveryWord | undefined)[] = [
  'none',
  'reset',
  'reboot',
  'drain',
  'drain-and-reset',
  undefined,
  // Of the bus of the GPU, and of the system.
  'reset',
  'reboot',
];

/**
 * The kernel log writes the numbers: `GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)`.
 * `undefined` for one of a later driver.
 */
export function recoveryWord(code: number): RecoveryWord | undefined {
  return numbered[code];
}

/**
 * Whether the device was set up anew between two samples. The counts that begin with the driver can only fall that way;
 * but a driver that is not told to persist drops them whenever its last client leaves, which mends nothing.
 */
export function wasReset(before: GpuSample, now: GpuSample): boolean {
  if (before.words.persistence !== true || now.words.persistence !== true) return false;
  return (['ecc-uncorrected', 'ecc-corrected', 'energy'] as const).some((measure) => {
    const [was, is] = [before.values[measure], now.values[measure]];
    // Far below, since two sources of one count may round it differently.
    return was !== undefined && is !== undefined && is < was / 2;
  });
}
