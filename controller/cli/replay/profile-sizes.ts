// Which MIG profiles a model offers, smallest first, for mapping shares to them.

export interface ProfileSize {
  readonly profile: string;
  readonly computeSlices: number;
}

export interface ProfileTable {
  readonly profiles: readonly ProfileSize[];
  /** Of the whole GPU. */
  readonly computeSlices: number;
}

// Memory slices of eight for every compute slice count of seven: the driver's names follow from these.
const bySeven = [
  [1, 1],
  [2, 2],
  [3, 4],
  [4, 4],
  [7, 8],
] as const;
const byFour = [
  [1, 2],
  [2, 4],
  [4, 8],
] as const;

/** From the size of the device by the driver's own rule: N in `Xg.Ngb` is its eighths of the memory, rounded to whole GiB. */
export function profilesOfDevice(device: { readonly computeSlices: number; readonly memoryMiB: number }): ProfileTable | undefined {
  const grid = device.computeSlices === 7 ? bySeven : device.computeSlices === 4 ? byFour : undefined;
  if (grid === undefined) return undefined;
  const totalGiB = Math.ceil(device.memoryMiB / 1024);
  const profiles = grid.map(([compute, eighths]) => ({
    profile: `${compute}g.${Math.round((eighths / 8) * totalGiB)}gb`,
    computeSlices: compute,
  }));
  return { profiles, computeSlices: device.computeSlices };
}

/** `1g.10gb=1,3g.40gb=3,7g.80gb=7`; the largest counts as the whole GPU. `undefined` when it is not of this form. */
export function parseProfileTable(text: string): ProfileTable | undefined {
  const profiles: ProfileSize[] = [];
  for (const part of text.split(',')) {
    const match = /^(\d+g\.\d+gb[+a-z.]*)=(\d+)$/.exec(part.trim());
    if (match === null) return undefined;
    profiles.push({ profile: match[1] as string, computeSlices: Number(match[2]) });
  }
  profiles.sort((a, b) => a.computeSlices - b.computeSlices);
  return { profiles, computeSlices: profiles.at(-1)?.computeSlices ?? 0 };
}

/** The smallest profile whose part of the compute slices is at least the asked part of the GPU. */
export function smallestFor(gpuMilli: number, table: ProfileTable): string | undefined {
  return table.profiles.find((entry) => entry.computeSlices * 1000 >= gpuMilli * table.computeSlices)?.profile;
}
