// Potentials that are learnt from the mix, from two starting points, as candidates.
import { drawArrivals } from './churn.ts';
import { meanField, meanFieldDefaults } from './mean-field.ts';
import { blended, type Potential, smoothedByDepartures, unusableFree } from './potential.ts';
import { byPotential, type Rule } from './standing-rules.ts';
import type { WindowSets } from './window-sets.ts';

/** Yields after each piece of work. */
export function* learnt(
  sets: WindowSets,
  weights: readonly number[],
  setting: { readonly gpus: number; readonly arrivals: number; readonly learning: number },
  random: () => number,
): Generator<undefined, readonly Rule[]> {
  const even = unusableFree(sets);
  const smooth = smoothedByDepartures(sets, even, 10).map((value) => 3 * value);
  const found: Rule[] = [];
  for (const { name, load, start, discount } of [
    { name: 'learnt', load: 1, start: even, discount: 0.2 },
    { name: 'learnt-tight', load: 1.2, start: smooth, discount: 1 },
  ]) {
    const rates = ratesOf(sets, weights, setting.gpus * load);
    const draw = () => drawArrivals(sets, { count: setting.arrivals, gpus: setting.gpus, load, weights }, random);
    const iterations = meanField(sets, { ...meanFieldDefaults, gpus: setting.gpus, rates, start, discount }, draw);
    const mean = new Float64Array(sets.count);
    const from = Math.floor(setting.learning / 2);
    for (let iteration = 0; iteration < setting.learning; iteration += 1) {
      let worth = iterations.next().value;
      for (; worth === undefined; worth = iterations.next().value) yield;
      if (iteration >= from) addTo(mean, worth, 1 / (setting.learning - from));
      yield;
    }
    if (setting.learning > 0) found.push(byPotential(name, sets, mean));
  }
  const [one, other] = found;
  return one === undefined || other === undefined
    ? found
    : [...found, byPotential('learnt-twice', sets, blended(one.potential, other.potential, 1))];
}

/** Arrivals of each kind in a mean lifetime. */
function ratesOf(sets: WindowSets, weights: readonly number[], gpus: number): readonly number[] {
  const units = sets.kinds.reduce((sum, { size }, kind) => sum + size * (weights[kind] ?? 0), 0);
  return sets.kinds.map((_, kind) => ((weights[kind] ?? 0) * gpus * sets.units) / units);
}

function addTo(sum: Potential, more: Potential, times: number): void {
  for (let set = 0; set < sum.length; set += 1) sum[set] = (sum[set] ?? 0) + times * (more[set] ?? 0);
}
