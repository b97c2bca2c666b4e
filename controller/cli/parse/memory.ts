const unitMiB: Readonly<Record<string, number>> = {
  ki: 1 / 1024,
  mi: 1,
  gi: 1024,
  ti: 1024 ** 2,
  k: 1000 / 1024 ** 2,
  m: 1e6 / 1024 ** 2,
  g: 1e9 / 1024 ** 2,
  t: 1e12 / 1024 ** 2,
};

/** `16Gi`, `512Mi`, `1.5G`, in MiB, rounded up. A number without a unit is refused: nobody agrees on what it means. */
export function parseMemory(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]i?)b?$/i.exec(text.trim());
  const unit = unitMiB[match?.[2]?.toLowerCase() ?? ''];
  if (match === null || unit === undefined) return undefined;
  // The product of a decimal and a unit may be a hair above a whole number.
  return Math.ceil(Number((Number(match[1]) * unit).toFixed(6)));
}
