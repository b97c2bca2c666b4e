export interface BackOffLimits {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** Doubles with each failure in a row; half of it is chance, so that many nodes do not come back at one moment. */
export function backOffMs(failures: number, limits: BackOffLimits, random: () => number): number {
  if (failures <= 0) return 0;
  const full = Math.min(limits.maxMs, limits.firstMs * 2 ** Math.min(failures - 1, 30));
  return full / 2 + (random() * full) / 2;
}
