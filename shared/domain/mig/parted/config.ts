// The configuration file of mig-parted (api/spec/v1 of NVIDIA/mig-parted), which the GPU operator's mig-manager reads too.
// Ours is a superset: an entry may say where its slices start, in `mig-placements`. mig-parted refuses a field that it does
// not know ("unexpected field"), so such a file is never taken there for one without placements.
import type { WantedSlice } from '../slice.ts';
import type { PartedProfile } from './profile.ts';

export interface PartedFile {
  /** In the order of the file; may be empty, as in a file that holds nothing but its version. */
  readonly configs: ReadonlyMap<string, readonly PartedEntry[]>;
}

/** What some of the GPUs of a node should be. GPUs that no entry names are left as they are. */
export interface PartedEntry {
  /** Indices on the node. */
  readonly devices: 'all' | readonly number[];
  /** PCI device ids as written (`0x233010DE`); empty: every device. */
  readonly deviceFilter: readonly string[];
  readonly migEnabled: boolean;
  /** In the order of the file, a profile once; counts of 0 are left out. */
  readonly counts: readonly PartedCount[];
  /** Absent: anywhere. Where present they agree with `counts`, if the file has those as well. */
  readonly placements: readonly WantedSlice[] | undefined;
}

export interface PartedCount {
  readonly profile: PartedProfile;
  /** 1 or more; not bounded by what a device holds. */
  readonly count: number;
}

/** From the root of the file to what is wrong in it. */
export type PartedPath = readonly (string | number)[];

export interface PartedFault {
  readonly path: PartedPath;
  /** One sentence without its full stop, with what to write instead. */
  readonly detail: string;
}

/** RFC 6901: `/mig-configs/all-balanced/0/devices`; empty for the whole file. */
export function pointerOf(path: PartedPath): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
