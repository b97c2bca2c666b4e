// What the watch over health needs of the world beside the driver's samples.
import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { RecoveryWord } from '#core/health/recovery';
import type { Xid } from '#core/health/xid-memory';
import type { KernelLogStatus } from './node-state.ts';

/** What a line of the kernel log says of a GPU; `pci` in the spelling of `pciAddress`. */
export type KernelNote =
  | { readonly kind: 'xid'; readonly pci: string; readonly xid: Xid }
  | { readonly kind: 'recovery'; readonly pci: string; readonly word: RecoveryWord }
  /** A person has reset it by hand and says so, for drivers that do not. */
  | { readonly kind: 'reset'; readonly pci: string }
  /** The driver tells which GPU sits at an address. */
  | { readonly kind: 'named'; readonly pci: string; readonly gpu: GpuUuid };

/** `ageMs`: how long before this moment it was logged. */
export type DatedKernelNote = KernelNote & { readonly ageMs: number };

/** The kernel log of this machine since its boot, each record once. */
export interface KernelLog extends AsyncDisposable {
  /** What came since the last call, at the first one since the boot. Never throws; a bounded amount at a time. */
  take(): Promise<{ readonly status: KernelLogStatus; readonly notes: readonly DatedKernelNote[]; readonly more: boolean }>;
}

/** When each GPU was reset by this agent, in this boot. Survives the agent, not the boot. */
export interface ResetMemory {
  /** How long ago; absent when it was not. */
  ageMs(gpu: GpuUuid): number | undefined;
  /** Never throws: what cannot be stored is known until the agent ends. */
  note(gpu: GpuUuid): Promise<void>;
}
