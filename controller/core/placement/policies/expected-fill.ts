import { type AskClass, allows, type Demand } from '../demand.ts';
import type { PlacementPolicy } from '../policy.ts';
import { poolPressure } from '../pool-pressure.ts';
import { freeGpus, freeMilli, type Shape } from '../shape.ts';
import { turnover } from '../turnover.ts';
import { fillTable } from './fill-table.ts';

export interface ExpectedFillSettings {
  /** How many asks a GPU is expected to be offered before it matters what it was left with. */
  readonly offers: number;
  /** How many of the asks that suit a GPU are offered before its node's CPU and memory have to suit one. */
  readonly companions: number;
  /** Worth of keeping GPUs together for asks of several, as a multiple of what those ask, where nothing ever ends. */
  readonly together: number;
  /** The same where as much ends as arrives. What is broken up then stays broken up: nodes do not drain by themselves. */
  readonly togetherInTurnover: number;
  /** Worth of a thousandth of a GPU of a pool, for each unit of its pressure. */
  readonly pressure: number;
  /** Differences below this are none; thousandths of a GPU. */
  readonly grain: number;
}

export const expectedFillDefaults: ExpectedFillSettings = {
  offers: 70,
  companions: 6,
  together: 0.3,
  togetherInTurnover: 4,
  pressure: 1,
  grain: 10,
};

/** What the policy has to be told of, so that it judges by what is the case. Left out, it judges by what it was made with. */
export interface PlacementObserver {
  arrived(ask: AskClass): void;
  departed(ask: AskClass): void;
  /** A node was of the one shape and is of the other: something was placed there, ended there, or it was looked at anew. */
  changed(before: Shape, after: Shape): void;
}

export interface ObservingPolicy extends PlacementPolicy {
  readonly version: number;
  readonly observe: PlacementObserver;
  /** What is expected from now on. */
  expect(demand: Demand): void;
}

/** Changes of nodes between two looks at how scarce the pools are. */
const changesPerLook = 50;

interface Pool {
  /** See {@link fillTable}. */
  readonly fill: Float64Array;
  readonly asks: readonly WeightedAsk[];
  // The same in columns, because all of them are read for every shape.
  readonly counts: Float64Array;
  readonly millis: Float64Array;
  readonly cpus: Float64Array;
  readonly memories: Float64Array;
  readonly parts: Float64Array;
  readonly volumes: Float64Array;
}

interface WeightedAsk extends AskClass {
  /** Its part in the number of asks for GPUs. */
  readonly part: number;
  /** Its part in the GPUs that are asked for. */
  readonly volume: number;
}

/**
 * Values what is free by what will come: how much of each GPU's remainder is expected to be filled by the next offers,
 * times the chance that the CPU and memory of the node can go along; more in a pool that those depend on who have no
 * other, and more on a node that still has room for an ask of several GPUs. An ask goes where that value falls least.
 *
 * @param capacity GPUs by pool, all free until observed otherwise.
 */
export function expectedFill(demand: Demand, capacity: readonly number[], overrides: Partial<ExpectedFillSettings> = {}): ObservingPolicy {
  const settings = { ...expectedFillDefaults, ...overrides };
  const pressure = poolPressure(capacity);
  const stream = turnover();
  let pools: readonly Pool[] = [];
  let level = 0;
  let version = 0;
  let changes = 0;
  const expect = (next: Demand): void => {
    pools = poolViews(weighted(next), capacity.length, settings.offers);
    pressure.expect(next);
    version += 1;
  };
  const noticeTurnover = (): void => {
    if (stream.level === level) return;
    level = stream.level;
    version += 1;
  };
  const worthOf = (shape: Shape): number => {
    if (!Number.isNaN(shape.worth)) return shape.worth;
    const together = settings.together + level * (settings.togetherInTurnover - settings.together);
    const pool = pools[shape.pool];
    shape.worth = pool === undefined ? 0 : worth(shape, pool, settings.companions, together, settings.pressure * pressure.of(shape.pool));
    return shape.worth;
  };
  expect(demand);
  return {
    name: 'astrago',
    gpuChoice: 'every',
    score: (before, after) => Math.floor((worthOf(after) - worthOf(before)) / settings.grain),
    get version() {
      return version;
    },
    expect,
    observe: {
      arrived(ask) {
        if (ask.gpus === 0) return;
        stream.arrived();
        noticeTurnover();
      },
      departed(ask) {
        if (ask.gpus === 0) return;
        stream.departed();
        noticeTurnover();
      },
      changed(before, after) {
        pressure.freed(before.pool, -freeMilli(before.gpus));
        pressure.freed(after.pool, freeMilli(after.gpus));
        changes += 1;
        if (changes % changesPerLook === 0 && pressure.settle()) version += 1;
      },
    },
  };
}

const suited = new Float64Array(65);
const carried = new Float64Array(65);

function worth(shape: Shape, pool: Pool, companions: number, together: number, pressure: number): number {
  const { gpus, cpuMilli, memoryMiB } = shape;
  const { counts, millis, cpus, memories, parts, volumes } = pool;
  let open = gpus.length;
  while (open > 0 && gpus[open - 1] === 0) open -= 1;
  if (open === 0) return 0;
  const whole = freeGpus(gpus);
  suited.fill(0, 0, open + 1);
  carried.fill(0, 0, open + 1);
  let kept = 0;
  for (let ask = 0; ask < counts.length; ask += 1) {
    const count = counts[ask] ?? 1;
    const milli = millis[ask] ?? 0;
    // The GPUs that the ask suits are the freest ones: how many?
    let suits = open;
    if (milli < 1000) while (suits > 0 && (gpus[suits - 1] ?? 0) < milli) suits -= 1;
    else suits = whole - (whole % count);
    if (suits === 0) continue;
    const part = parts[ask] ?? 0;
    suited[suits] = (suited[suits] ?? 0) + part;
    const cpu = cpus[ask] ?? 0;
    const memory = memories[ask] ?? 0;
    // How many copies the CPU and memory of the node carry, of as many as there are GPUs for.
    let copies = count === 1 ? suits : suits / count;
    if (cpu * copies > cpuMilli) copies = Math.floor(cpuMilli / cpu);
    if (memory * copies > memoryMiB) copies = Math.floor(memoryMiB / memory);
    if (copies === 0) continue;
    const carries = copies * count;
    carried[carries] = (carried[carries] ?? 0) + part;
    if (count > 1) kept += (volumes[ask] ?? 0) * whole;
  }
  let value = 0;
  let suitable = 0;
  let possible = 0;
  for (let at = open; at > 0; at -= 1) {
    suitable += suited[at] ?? 0;
    possible += carried[at] ?? 0;
    if (suitable > 0) value += (pool.fill[gpus[at - 1] ?? 0] ?? 0) * (1 - power(1 - Math.min(1, possible / suitable), companions));
  }
  return value + pressure * freeMilli(gpus) + together * 1000 * kept;
}

/** For whole exponents; `**` costs more than all the rest. */
function power(base: number, exponent: number): number {
  let result = 1;
  for (let left = exponent; left > 0; left -= 1) result *= base;
  return result;
}

function weighted({ classes, weights }: Demand): readonly WeightedAsk[] {
  const ofGpus = classes.map((ask, at) => ({ ask, weight: ask.gpus === 0 ? 0 : (weights[at] ?? 0) })).filter(({ weight }) => weight > 0);
  const count = ofGpus.reduce((sum, { weight }) => sum + weight, 0);
  const volume = ofGpus.reduce((sum, { ask, weight }) => sum + weight * ask.gpus * ask.milli, 0);
  return ofGpus.map(({ ask, weight }) => ({ ...ask, part: weight / count, volume: (weight * ask.gpus * ask.milli) / volume }));
}

function poolViews(asks: readonly WeightedAsk[], pools: number, offers: number): readonly Pool[] {
  const views: Pool[] = [];
  for (let pool = 0; pool < pools; pool += 1) {
    const own = asks.filter((ask) => allows(ask, pool));
    // Pools that the same asks may go to are the same to all of them.
    const alike = views.find(({ asks: others }) => others.length === own.length && others.every((ask, at) => ask === own[at]));
    views.push(alike ?? poolView(own, offers));
  }
  return views;
}

function poolView(asks: readonly WeightedAsk[], offers: number): Pool {
  const column = (of: (ask: WeightedAsk) => number): Float64Array => Float64Array.from(asks, of);
  return {
    asks,
    fill: fillTable(asks, offers),
    counts: column(({ gpus }) => gpus),
    millis: column(({ milli }) => milli),
    cpus: column(({ cpuMilli }) => cpuMilli),
    memories: column(({ memoryMiB }) => memoryMiB),
    parts: column(({ part }) => part),
    volumes: column(({ volume }) => volume),
  };
}
