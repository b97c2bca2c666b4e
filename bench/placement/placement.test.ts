import { seededRandom } from '@astrago/controller/core/cluster/sample-random';
import { expect, it } from 'vitest';
import { runArrivals } from './arrivals.ts';
import { runDepartures } from './departures.ts';
import { type OpenbNode, type OpenbPods, podsOf } from './openb.ts';
import { emptyShape, placerOf, policyNames } from './policies.ts';
import { inflated, shuffled } from './streams.ts';
import { syntheticNames, syntheticPods } from './synthetic.ts';
import { Tenancies, type Tenancy } from './tenancies.ts';

const nodes: readonly OpenbNode[] = [8, 8, 4, 2, 2, 1, 0].map((gpus, at) => ({
  name: `node-${at}`,
  pool: at % 2,
  cpuMilli: 16_000 + gpus * 12_000,
  memoryMiB: 65_536 + gpus * 49_152,
  gpus,
}));
const ask = { cpuMilli: 4000, memoryMiB: 8192, gpus: 1, milli: 500, pools: undefined };
const base: OpenbPods = podsOf([
  ask,
  { ...ask, milli: 810 },
  { ...ask, milli: 190, pools: new Set([1]) },
  { ...ask, milli: 1000 },
  { ...ask, gpus: 2, milli: 1000 },
  { ...ask, gpus: 8, milli: 1000 },
  { ...ask, gpus: 0, milli: 0 },
]);

it.each(policyNames)('%s places and releases, and in the end all is free again', (name) => {
  const random = seededRandom(3);
  const placer = placerOf(name, { ranked: nodes, demand: base.demand, random, learn: false });
  const empty = nodes.map(emptyShape);
  const tenancies = new Tenancies(empty);
  const running: Tenancy[] = [];
  const last = [...empty];
  const end = (gone: Tenancy): void =>
    placer.release(gone.ask, gone.node, (now) => {
      const shape = tenancies.ended(gone, now);
      last[gone.node] = shape;
      return shape;
    });
  for (let at = 0; at < 400; at += 1) {
    const wanted = base.classOf[Math.floor(random() * base.classOf.length)] ?? ask;
    const placed = placer.place(wanted);
    if (placed !== undefined) running.push(tenancies.begun(wanted, placed));
    if (running.length > 12) for (const gone of running.splice(Math.floor(random() * running.length), 1)) end(gone);
  }
  expect(running.length).toBeGreaterThan(0);
  for (const gone of running) end(gone);
  const plain = ({ cpuMilli, memoryMiB, gpus }: (typeof empty)[number]): object => ({ cpuMilli, memoryMiB, gpus: [...gpus] });
  expect(last.map(plain)).toEqual(empty.map(plain));
});

it.each(syntheticNames)('the list %s is the same each time, and is placed from its first pod to its last', (name) => {
  const pods = syntheticPods(name, 2, base);
  expect(syntheticPods(name, 2, base)).toEqual(pods);
  const random = seededRandom(1);
  const ranked = shuffled(nodes.length, random).map((at) => nodes[at] as OpenbNode);
  const few = { ...pods, classOf: pods.classOf.slice(0, 200) };
  const sequence = few.classOf.map((_, row) => row);
  const result = runArrivals({ seed: 1, policy: 'astrago', ranked, pods: few, sequence, learn: true });
  expect(result.decisions).toBe(200);
  expect(result.failed).toBeLessThan(200);
});

it('arrivals of our own ask for a third more than there is', () => {
  const rows = inflated(base, 25, seededRandom(1));
  const asked = rows.reduce((sum, row) => sum + (base.classOf[row]?.gpus ?? 0) * (base.classOf[row]?.milli ?? 0), 0);
  expect(asked).toBeGreaterThan(1.2 * 25_000);
  // The protocol counts one GPU of the last pod.
  expect(asked).toBeLessThanOrEqual(1.3 * 25_000 + 7000);
});

it('a load that the cluster carries easily is carried, at the load that was said', () => {
  const pods = podsOf([ask]);
  const result = runDepartures({ seed: 5, policy: 'astrago', nodes, pods, load: 0.2, learn: false });
  expect(result.refusedPercent).toBe(0);
  expect(result.allocatedPercent).toBeGreaterThan(10);
  expect(result.allocatedPercent).toBeLessThan(30);
});
