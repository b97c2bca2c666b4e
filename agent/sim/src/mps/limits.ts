/** MiB in `1G`, `900M`, `512MB`, `1048576K`; bytes without a letter. Undefined for nonsense. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([KMGT]?)B?$/i.exec(text.trim());
  if (!match) return undefined;
  const power = ['', 'K', 'M', 'G', 'T'].indexOf((match[2] ?? '').toUpperCase());
  return Math.floor((Number(match[1]) * 1024 ** power) / 1024 ** 2);
}

/** `0=1G,1=512MB`, by the ordinal that the client sees. */
export function parsePinnedLimits(text: string | undefined): ReadonlyMap<number, number> {
  const limits = new Map<number, number>();
  for (const entry of text?.split(',') ?? []) {
    const [ordinal = '', size = ''] = entry.split('=');
    const mib = parseSize(size);
    if (/^\d+$/.test(ordinal.trim()) && mib !== undefined) limits.set(Number(ordinal), mib);
  }
  return limits;
}

/** A client may only tighten what its server allows. */
export function tighter(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}

/** Undefined outside 0 (exclusive) to 100. */
export function parsePercentage(text: string | undefined): number | undefined {
  const value = Number(text?.trim() || 'none');
  return value > 0 && value <= 100 ? value : undefined;
}

/** A share is handed out in whole multiprocessors, rounded down; at least one. */
export function wholeMultiprocessors(percentage: number, multiprocessors: number): number {
  // The small addition keeps 25 % of 132 at 33, whatever the floating point says.
  return Math.max(1, Math.floor((percentage * multiprocessors) / 100 + 1e-9));
}
