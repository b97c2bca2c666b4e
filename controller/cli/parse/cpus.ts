/** `4`, `0.5`, `1500m`, in thousandths of a CPU. */
export function parseCpus(text: string): number | undefined {
  const milli = /^(\d+)m$/.exec(text.trim());
  if (milli !== null) return Number(milli[1]);
  if (!/^\d+(\.\d{1,3})?$/.test(text.trim())) return undefined;
  return Math.round(Number(text) * 1000);
}
