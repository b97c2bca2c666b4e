// Arrival sequences and node orders of our own, by the protocol that the recorded ones were made by (but not with its
// random numbers): a shuffled pod list, then clones of random pods until 1.3 times the cluster's GPUs are asked for.
import type { OpenbPods } from './openb.ts';

/** What is asked for in all, as a multiple of the cluster's GPUs. */
const inflation = 1.3;

/** The numbers below `count` in random order. */
export function shuffled(count: number, random: () => number): number[] {
  const order = Array.from({ length: count }, (_, at) => at);
  for (let at = count - 1; at > 0; at -= 1) {
    const other = Math.floor(random() * (at + 1));
    [order[at], order[other]] = [order[other] ?? 0, order[at] ?? 0];
  }
  return order;
}

/** Rows of the pod list in the order in which they arrive. */
export function inflated({ classOf }: OpenbPods, gpus: number, random: () => number): readonly number[] {
  const target = inflation * 1000 * gpus;
  const milliOf = (row: number): number => (classOf[row]?.gpus ?? 0) * (classOf[row]?.milli ?? 0);
  const rows = shuffled(classOf.length, random);
  let total = rows.reduce((sum, row) => sum + milliOf(row), 0);
  // A list without GPU demand would never reach the target.
  if (total === 0) return rows;
  while (total > target) {
    const [gone = 0] = rows.splice(Math.floor(random() * rows.length), 1);
    total -= milliOf(gone);
  }
  for (;;) {
    const row = Math.floor(random() * classOf.length);
    if (total + (classOf[row]?.milli ?? 0) > target) return rows;
    rows.push(row);
    total += milliOf(row);
  }
}
