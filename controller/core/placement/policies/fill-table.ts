/** A size that is asked for, in thousandths of a GPU, and its part in the number of asks. */
export interface AskedSize {
  readonly milli: number;
  readonly part: number;
}

/**
 * What is expected to be filled of a GPU with so many thousandths free (0 to 1000 of them) within so many offers, if
 * each offer is taken only where that pays. By dynamic programming over the sizes: what is left after an ask is worth
 * what the offers that remain would fill of it.
 */
export function fillTable(sizes: readonly AskedSize[], offers: number): Float64Array {
  const parts = new Map<number, number>();
  for (const { milli, part } of sizes) parts.set(milli, (parts.get(milli) ?? 0) + part);
  let table = new Float64Array(1001);
  for (let offer = 0; offer < offers; offer += 1) {
    const next = table.slice();
    for (const [milli, part] of parts) {
      for (let left = milli; left <= 1000; left += 1) {
        const gain = milli + (table[left - milli] ?? 0) - (table[left] ?? 0);
        if (gain > 0) next[left] = (next[left] ?? 0) + part * gain;
      }
    }
    table = next;
  }
  return table;
}
