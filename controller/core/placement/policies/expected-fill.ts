import { type AskClass, allows, type Demand, isShare } from '../demand.ts';
import type { PlacementPolicy } from '../policy.ts';
import { freeGpus, freeMilli, type Shape } from '../shape.ts';

export interface ExpectedFillSettings {
  /** How many asks a GPU is expected to be offered before it matters what it was left with. */
  readonly offers: number;
  /** How many of the asks that suit a GPU are offered before its node's CPU and memory have to suit one. */
  readonly companions: number;
  /** Worth of keeping GPUs together for asks of several, as a multiple of what those ask; 0 where nothing ever ends. */
  readonly together: number;
  /** Worth of a thousandth of a GPU of a pool that is asked for more than others, for each unit of excess. */
  readonly pressure: number;
  /** Differences below this are none; thousandths of a GPU. */
  readonly grain: number;
}

export const expectedFillDefaults: ExpectedFillSettings = { offers: 50, companions: 6, together: 0, pressure: 1, grain: 60 };

/** A pool that is asked for this many times its part is not yet under pressure. */
const pressureFrom = 1.2;

interface Pool {
  /** The expected fill of a GPU with so many thousandths free, 0 to 1000 of them. */
  readonly fill: Float64Array;
  readonly pressure: number;
  readonly asks: readonly WeightedAsk[];
}

interface WeightedAsk extends AskClass {
  /** Its part in the number of asks for GPUs. */
  readonly part: number;
  /** Its part in the GPUs that are asked for. */
  readonly volume: number;
}

/**
 * Values what is free by what will come: how much of each GPU's remainder is expected to be filled by the next offers,
 * found by dynamic programming over the sizes that are really asked for, times the chance that the CPU and memory of
 * the node can go along. An ask goes where that value falls least.
 *
 * @param capacity GPUs by pool.
 */
export function expectedFill(
  demand: Demand,
  capacity: readonly number[],
  settings: ExpectedFillSettings = expectedFillDefaults,
): PlacementPolicy {
  const asks = weighted(demand);
  const pools = capacity.map((_, pool) => poolView(asks, capacity, pool, settings));
  const suited = new Float64Array(65);
  const carried = new Float64Array(65);
  const worthOf = (shape: Shape): number => {
    const pool = pools[shape.pool];
    if (Number.isNaN(shape.worth)) shape.worth = pool === undefined ? 0 : worth(shape, pool, settings, suited, carried);
    return shape.worth;
  };
  return {
    name: 'astrago',
    gpuChoice: 'every',
    score: (before, after) => Math.floor((worthOf(after) - worthOf(before)) / settings.grain),
  };
}

function worth(
  shape: Shape,
  pool: Pool,
  { companions, together, pressure }: ExpectedFillSettings,
  suited: Float64Array,
  carried: Float64Array,
): number {
  const { gpus, cpuMilli, memoryMiB } = shape;
  let open = gpus.length;
  while (open > 0 && gpus[open - 1] === 0) open -= 1;
  if (open === 0) return 0;
  const whole = freeGpus(gpus);
  suited.fill(0, 0, open + 1);
  carried.fill(0, 0, open + 1);
  let kept = 0;
  for (const ask of pool.asks) {
    const { gpus: count, milli, part } = ask;
    // The GPUs that the ask suits are the freest ones: how many?
    let suits = open;
    if (isShare(ask)) while (suits > 0 && (gpus[suits - 1] ?? 0) < milli) suits -= 1;
    else suits = whole - (whole % count);
    if (suits === 0) continue;
    suited[suits] = (suited[suits] ?? 0) + part;
    const copies = Math.min(
      ask.cpuMilli === 0 ? open : Math.floor(cpuMilli / ask.cpuMilli),
      ask.memoryMiB === 0 ? open : Math.floor(memoryMiB / ask.memoryMiB),
    );
    if (copies === 0) continue;
    const carries = Math.min(suits, copies * count);
    carried[carries] = (carried[carries] ?? 0) + part;
    if (count > 1) kept += ask.volume * suits;
  }
  let value = 0;
  let suitable = 0;
  let possible = 0;
  for (let at = open; at > 0; at -= 1) {
    suitable += suited[at] ?? 0;
    possible += carried[at] ?? 0;
    if (suitable > 0) value += (pool.fill[gpus[at - 1] ?? 0] ?? 0) * (1 - (1 - Math.min(1, possible / suitable)) ** companions);
  }
  return value + pressure * pool.pressure * freeMilli(gpus) + together * 1000 * kept;
}

function weighted({ classes, weights }: Demand): readonly WeightedAsk[] {
  const ofGpus = classes.map((ask, at) => ({ ask, weight: ask.gpus === 0 ? 0 : (weights[at] ?? 0) })).filter(({ weight }) => weight > 0);
  const count = ofGpus.reduce((sum, { weight }) => sum + weight, 0);
  const volume = ofGpus.reduce((sum, { ask, weight }) => sum + weight * ask.gpus * ask.milli, 0);
  return ofGpus.map(({ ask, weight }) => ({ ...ask, part: weight / count, volume: (weight * ask.gpus * ask.milli) / volume }));
}

function poolView(asks: readonly WeightedAsk[], capacity: readonly number[], pool: number, settings: ExpectedFillSettings): Pool {
  const own = asks.filter((ask) => allows(ask, pool));
  const total = capacity.reduce((sum, gpus) => sum + gpus, 0);
  const asked = own.reduce((sum, ask) => {
    const reachable = capacity.reduce((gpus, count, at) => gpus + (allows(ask, at) ? count : 0), 0);
    return sum + (ask.volume * total) / reachable;
  }, 0);
  return { asks: own, fill: fillTable(own, settings.offers), pressure: Math.max(0, asked - pressureFrom) };
}

/** What is expected to be filled of each remainder within so many offers, if each is taken only where that pays. */
function fillTable(asks: readonly WeightedAsk[], offers: number): Float64Array {
  const parts = new Map<number, number>();
  for (const { milli, part } of asks) parts.set(milli, (parts.get(milli) ?? 0) + part);
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
