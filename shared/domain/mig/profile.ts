import type { Id } from '../ids.ts';

/** A MIG size as the driver spells it without the leading `MIG `: `3g.40gb`, `1g.10gb+me`, `1g.24gb-me`. */
export type ProfileName = Id<'Profile'>;

const pattern = /^(\d+)g\.(\d+)gb(\+me|\+gfx|\+me\.all|-me)?$/;

/** The one place a string becomes a {@link ProfileName}. Compute-instance names (`1c.3g.40gb`) are not profiles of a slice. */
export function parseProfileName(text: string): ProfileName | undefined {
  return pattern.test(text) ? (text as ProfileName) : undefined;
}

/** One line of a device's own `-lgip` joined with its `-lgipp`. */
export interface Profile {
  readonly name: ProfileName;
  /** The id that `-cgi` takes; differs between devices for the same name. */
  readonly gpuInstanceProfileId: number;
  /** The number before `g`. */
  readonly computeSlices: number;
  /** Length of a placement, in the device's placement units. */
  readonly size: number;
  /** Where a slice of this profile may start, ascending. */
  readonly starts: readonly number[];
  /** The most the device holds at once. */
  readonly instancesMax: number;
  /** As the listing states it, rounded to MiB; drifts by driver, so never an identity. */
  readonly memoryMiB: number;
}

/** The `Ng` of a name; every name that was parsed has one. */
export function computeSlicesOf(name: ProfileName): number {
  return Number.parseInt(name, 10);
}

/** The `Ngb` of a name, in GB as marketed. */
export function nominalMemoryGb(name: ProfileName): number {
  return Number(pattern.exec(name)?.[2]);
}

/** `+me`, `+me.all` profiles claim the media engines, of which a device has one set to give. */
export function claimsMediaEngines(name: ProfileName): boolean {
  return name.endsWith('+me') || name.endsWith('+me.all');
}
