import { computeSlicesOf, type ProfileName, parseProfileName } from '../profile.ts';

/** A key of `mig-devices`. */
export type PartedProfile =
  | { readonly kind: 'slice'; readonly name: ProfileName }
  /** `1c.3g.20gb`: a compute instance that is smaller than the GPU instance `3g.20gb` around it. */
  | { readonly kind: 'part'; readonly name: ProfileName; readonly computeSlices: number };

/** `[Xc.]Yg.Zgb` with `+me`, `+gfx`, `+me.all` or `-me`. `3c.3g.20gb` is `3g.20gb`, as in mig-parted. */
export function parsePartedProfile(text: string): PartedProfile | undefined {
  const match = /^(?:(\d+)c\.)?(.+)$/.exec(text);
  const name = match?.[2] === undefined ? undefined : parseProfileName(match[2]);
  if (name === undefined) return undefined;
  if (match?.[1] === undefined) return { kind: 'slice', name };
  const computeSlices = Number(match[1]);
  const whole = computeSlicesOf(name);
  if (computeSlices < 1 || computeSlices > whole) return undefined;
  return computeSlices === whole ? { kind: 'slice', name } : { kind: 'part', name, computeSlices };
}

export function formatPartedProfile(profile: PartedProfile): string {
  return profile.kind === 'slice' ? profile.name : `${profile.computeSlices}c.${profile.name}`;
}
