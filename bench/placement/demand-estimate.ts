import type { AskClass, Demand } from '@astrago/controller/core/placement/demand';

/** What is expected, from what has arrived. */
export interface DemandEstimate {
  arrived(ask: AskClass): void;
  /** The mix as it was when the version last changed. */
  readonly demand: Demand;
  /** Changes only when the mix is known much better or has really changed. */
  readonly version: number;
}

/** Arrivals after which one that was seen counts for a third. */
const memory = 20_000;
/** Arrivals that make up the first estimate. */
const first = 32;
/** The mix has changed if it differs by this many times what chance alone would make of it. */
const beyondChance = 2;
/** What is left of an ask that counts this little is forgotten. */
const forgotten = 0.05;

interface Count {
  readonly ask: AskClass;
  count: number;
}

/**
 * Counts asks by class, what is longer ago for less. The mix is made known anew at each doubling of what it rests on,
 * and after that only when it has moved further than a sample of that size would by chance.
 */
export function demandEstimate(): DemandEstimate {
  const counts = new Map<string, Count>();
  // Instead of all counts shrinking at each arrival, what arrives counts for more.
  let unit = 1;
  let total = 0;
  let arrivals = 0;
  let nextLook = first;
  let known: ReadonlyMap<string, number> = new Map();
  let knownFrom = 0;
  let demand: Demand = { classes: [], weights: [] };
  let version = 0;

  const rebase = (): void => {
    for (const [key, entry] of counts) {
      entry.count /= unit;
      if (entry.count < forgotten) counts.delete(key);
    }
    unit = 1;
    total = [...counts.values()].reduce((sum, { count }) => sum + count, 0);
  };
  const publish = (): void => {
    known = new Map([...counts].map(([key, { count }]) => [key, count / total]));
    knownFrom = total;
    const entries = [...counts.values()];
    demand = { classes: entries.map(({ ask }) => ask), weights: entries.map(({ count }) => count) };
    version += 1;
  };
  /** Half the sum of the differences between the mix that is known and the one seen now, and what chance makes of it. */
  const drift = (): { readonly seen: number; readonly chance: number } => {
    let seen = 0;
    let chance = 0;
    for (const key of new Set([...known.keys(), ...counts.keys()])) {
      const before = known.get(key) ?? 0;
      const now = (counts.get(key)?.count ?? 0) / total;
      const middle = (before + now) / 2;
      seen += Math.abs(now - before) / 2;
      chance += Math.sqrt((middle * (1 - middle) * (1 / knownFrom + 1 / total) * 2) / Math.PI) / 2;
    }
    return { seen, chance };
  };
  const look = (): void => {
    rebase();
    const isBetterKnown = total >= 2 * knownFrom && knownFrom < memory / 2;
    const { seen, chance } = drift();
    if (knownFrom === 0 || isBetterKnown || seen > beyondChance * chance) publish();
    // Small samples change fast; a large one is worth a look now and then.
    nextLook = arrivals + Math.max(first, Math.floor(total / 8));
  };
  return {
    arrived(ask) {
      const key = keyOf(ask);
      const entry = counts.get(key) ?? { ask, count: 0 };
      entry.count += unit;
      counts.set(key, entry);
      arrivals += 1;
      unit *= 1 + 1 / memory;
      if (arrivals >= nextLook) look();
    },
    get demand() {
      return demand;
    },
    get version() {
      return version;
    },
  };
}

function keyOf({ cpuMilli, memoryMiB, gpus, milli, pools }: AskClass): string {
  return [cpuMilli, memoryMiB, gpus, milli, ...(pools === undefined ? ['any'] : [...pools].sort((a, b) => a - b))].join();
}
