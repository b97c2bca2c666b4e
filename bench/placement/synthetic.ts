// Pod lists that no trace has, to see whether a policy holds where it was not tuned. Each is made from random numbers of
// one fixed seed, so that a list is the same whenever it is asked for.

import { seededRandom } from '@astrago/controller/core/cluster/sample-random';
import { type AskClass, isShare } from '@astrago/controller/core/placement/demand';
import { type OpenbPods, podsOf } from './openb.ts';

interface Draw {
  /** 0 to 1. */
  readonly random: () => number;
  pick<T>(from: readonly T[]): T;
  /** One of the values, each as likely as its weight says. */
  weighted(from: readonly (readonly [value: number, weight: number])[]): number;
}

/** Cores and memory that go along with so many thousandths of GPUs. */
function ask(draw: Draw, gpus: number, milli: number, coresPerGpu: number, models?: ReadonlySet<number>): AskClass {
  const amount = (gpus * milli) / 1000;
  // A few steps, as people write them.
  const cores = Math.max(1, Math.round(amount * coresPerGpu * draw.pick([0.5, 0.75, 1, 1, 1.5])));
  return {
    cpuMilli: 1000 * cores,
    memoryMiB: 4096 * Math.max(1, Math.round(cores * draw.pick([0.5, 1, 1.5]))),
    gpus,
    milli,
    pools: models,
  };
}

const work = (cores: number): AskClass => ({ cpuMilli: 1000 * cores, memoryMiB: 4096 * cores, gpus: 0, milli: 0, pools: undefined });
const sizes = [
  [100, 2],
  [200, 3],
  [250, 4],
  [330, 2],
  [400, 2],
  [500, 5],
  [600, 2],
  [700, 2],
  [810, 4],
  [1000, 20],
] as const;

/** By name: how one pod is drawn. Models are numbered as the openb node list has them; none stands for the last. */
const lists: Readonly<Record<string, (draw: Draw, models: number) => AskClass>> = {
  'shares-only': (draw) => ask(draw, 1, draw.weighted(sizes.slice(0, -1)), 8),
  'shares-any-size': (draw) => ask(draw, 1, 10 + 10 * Math.floor(draw.random() * 99), 8),
  'large-shares': (draw) => ask(draw, 1, draw.pick([550, 600, 650, 700, 750, 800, 850, 900]), 10),
  'small-shares': (draw) => ask(draw, 1, draw.pick([50, 100, 150, 200, 250, 300]), 8),
  'two-sizes': (draw) => ask(draw, 1, draw.random() < 0.5 ? 600 : 300, 10),
  'halves-and-wholes': (draw) => ask(draw, 1, draw.random() < 0.6 ? 500 : 1000, 10),
  'one-and-eight': (draw) => (draw.random() < 0.08 ? ask(draw, 8, 1000, 8) : ask(draw, 1, 1000, 10)),
  'many-eights': (draw) => (draw.random() < 0.15 ? ask(draw, 8, 1000, 9) : ask(draw, 1, draw.weighted(sizes), 10)),
  'every-count': (draw) => {
    const gpus = draw.weighted([
      [1, 20],
      [2, 6],
      [3, 2],
      [4, 5],
      [6, 1],
      [8, 4],
    ]);
    return ask(draw, gpus, gpus === 1 ? draw.weighted(sizes) : 1000, 9);
  },
  'half-typed': (draw, models) =>
    ask(draw, 1, draw.weighted(sizes), 8, draw.random() < 0.5 ? new Set([Math.floor(draw.random() * models)]) : undefined),
  'typed-in-part': (draw, models) => {
    const gpus = draw.weighted([
      [1, 60],
      [2, 2],
      [4, 2],
      [8, 1],
    ]);
    const wanted = Math.min(Math.floor(draw.random() * models), Math.floor(draw.random() * models));
    return ask(draw, gpus, gpus === 1 ? draw.weighted(sizes) : 1000, 8, draw.random() < 0.25 ? new Set([wanted]) : undefined);
  },
  'all-typed': (draw, models) =>
    ask(draw, 1, draw.weighted(sizes), 8, new Set([draw.weighted(Array.from({ length: models }, (_, at) => [at, 1 + at]))])),
  'cpu-heavy': (draw) => ask(draw, 1, draw.weighted(sizes), 17),
  'cpu-uneven': (draw) => ask(draw, 1, draw.weighted(sizes), draw.pick([2, 2, 8, 30])),
  'much-cpu-only': (draw) => (draw.random() < 0.4 ? work(draw.pick([1, 2, 4, 8, 16, 32])) : ask(draw, 1, draw.weighted(sizes), 8)),
  'single-class': () => ({ cpuMilli: 4000, memoryMiB: 16_384, gpus: 1, milli: 400, pools: undefined }),
  'no-gpus': (draw) => work(draw.pick([1, 2, 4, 8])),
};

interface Mix {
  readonly part: number;
  readonly of: (ask: AskClass) => boolean;
  /** Whether the part is one of pods or of the GPUs that are asked for. */
  readonly by: 'pods' | 'gpus';
}

const parts: Readonly<Record<string, Mix>> = {
  'with-typed-5': { part: 0.05, of: ({ pools }) => pools !== undefined, by: 'pods' },
  'with-typed-20': { part: 0.2, of: ({ pools }) => pools !== undefined, by: 'pods' },
  'with-typed-33': { part: 0.33, of: ({ pools }) => pools !== undefined, by: 'pods' },
  'with-shares-60': { part: 0.6, of: isShare, by: 'gpus' },
  'with-shares-100': { part: 1, of: isShare, by: 'gpus' },
  'with-multi-30': { part: 0.3, of: ({ gpus }) => gpus > 1, by: 'gpus' },
  'with-multi-50': { part: 0.5, of: ({ gpus }) => gpus > 1, by: 'gpus' },
  'with-cpu-only-250': { part: 0.25, of: ({ gpus }) => gpus === 0, by: 'pods' },
};

export const syntheticNames: readonly string[] = [...Object.keys(lists), ...Object.keys(parts)];

/**
 * @param models how many GPU models there are.
 * @param base what a list that differs from a recorded one in one respect is drawn from; it must have such pods.
 */
export function syntheticPods(name: string, models: number, base: OpenbPods): OpenbPods {
  const draws = lists[name] ?? drawsOf(name, base);
  const draw = drawer(seededRandom(7));
  return podsOf(Array.from({ length: 8000 }, () => draws(draw, models)));
}

function drawsOf(name: string, { classOf }: OpenbPods): (draw: Draw) => AskClass {
  const mix = parts[name];
  if (mix === undefined) throw new Error(`there is no list ${name}; there are ${syntheticNames.join(', ')}`);
  const inside = classOf.filter(mix.of);
  // Pods without GPUs are as many as before, unless it is them that the list is about.
  const apart = mix.by === 'gpus' ? classOf.filter(({ gpus }) => gpus === 0) : [];
  const outside = classOf.filter((ask) => !mix.of(ask) && (mix.by === 'pods' || ask.gpus > 0));
  if (inside.length === 0) throw new Error(`${name} needs a pod list that has some such pods`);
  const size = (asks: readonly AskClass[]): number =>
    mix.by === 'pods' ? 1 : asks.reduce((sum, { gpus, milli }) => sum + gpus * milli, 0) / Math.max(1, asks.length);
  const [odds, against] = [mix.part / size(inside), (1 - mix.part) / Math.max(1, size(outside))];
  return (draw) => {
    if (draw.random() < apart.length / classOf.length) return draw.pick(apart);
    return draw.pick(draw.random() < odds / (odds + against) ? inside : outside);
  };
}

function drawer(random: () => number): Draw {
  return {
    random,
    pick: (from) => from[Math.floor(random() * from.length)] as (typeof from)[number],
    weighted: (from) => {
      let rest = random() * from.reduce((sum, [, weight]) => sum + weight, 0);
      for (const [value, weight] of from) {
        rest -= weight;
        if (rest < 0) return value;
      }
      return from[0]?.[0] ?? 0;
    },
  };
}
