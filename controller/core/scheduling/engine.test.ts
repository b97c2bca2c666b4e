import type { NodeName } from '@astrago/shared/domain/ids';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { auditInvariants } from '../audit.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { AllocationRecord, WorkloadRecord } from '../cluster/records.ts';
import { allocationIds } from '../cluster/sample-cluster.ts';
import { seededRandom } from '../cluster/sample-random.ts';
import { below, changeNode, observeAgain, pick, pinAtRandom, type Random, sampleWorld, workAtRandom } from '../cluster/sample-world.ts';
import { censusOf } from '../explain/census.ts';
import { bestFit } from '../placement/policies/best-fit.ts';
import { expectedFill, expectedFillDefaults } from '../placement/policies/expected-fill.ts';
import { spread } from '../placement/policies/order.ts';
import { stepWorkload } from '../workload.ts';
import { decide } from './decide.ts';
import type { Decision } from './decision.ts';
import { tryNow } from './fits.ts';
import { applyBind } from './round.ts';
import { Scheduler } from './scheduler.ts';

/** A stream of numbers for each, so that a failing case is one number. */
const seeds = fc.integer({ min: 0, max: 2 ** 31 });

/** Drives a cluster through arrivals, ends, and changes of nodes and layouts. */
class Drive {
  readonly cluster: Cluster;
  readonly random: Random;
  readonly nextId = allocationIds();
  readonly scheduler: Scheduler;
  #sequence = 0;

  constructor(seed: number, nodesMax: number, scheduler?: (cluster: Cluster) => Scheduler) {
    this.random = seededRandom(seed);
    this.cluster = sampleWorld(this.random, nodesMax);
    this.scheduler = scheduler?.(this.cluster) ?? new Scheduler(this.cluster);
  }

  next(): WorkloadRecord {
    this.#sequence += 1;
    return workAtRandom(this.#sequence, this.random);
  }

  arrive(count: number): void {
    for (let at = 0; at < count; at += 1) this.cluster.apply({ kind: 'workload', record: this.next() });
    this.cluster.keep();
  }

  round(): Decision {
    const decision = decide(this.cluster, { nextAllocationId: this.nextId, nowMs: 0 }, this.scheduler);
    for (const bind of decision.binds) {
      const workload = this.cluster.workloads.get(bind.workload) ?? expect.unreachable();
      applyBind(this.cluster, workload, bind, 0);
      const event = { kind: 'bound', allocation: bind.allocation, placement: bind.placement, atMs: 0 } as const;
      this.cluster.apply({ kind: 'workload', record: stepWorkload(workload, event) });
    }
    this.cluster.keep();
    return decision;
  }

  end({ id, workload: of }: AllocationRecord): void {
    const workload = this.cluster.workloads.get(of) ?? expect.unreachable();
    const state = { kind: 'exited', exitCode: 0, startedAtMs: 1, endedAtMs: 2 } as const;
    this.cluster.apply({ kind: 'workload', record: stepWorkload(workload, { kind: 'observed', state, atMs: 2 }) });
    this.cluster.apply({ kind: 'allocation-released', id });
  }

  /** One thing that may happen. */
  happen(): void {
    const { cluster, random } = this;
    const what = random();
    const name = pick(random, [...cluster.observed.keys()]);
    const running = [...cluster.allocations.values()];
    if (what < 0.5 && running.length > 0) this.end(pick(random, running));
    else if (what < 0.65) changeNode(cluster, name, random);
    else if (what < 0.85) observeAgain(cluster, name, random);
    else pinAtRandom(cluster, random);
    cluster.keep();
  }
}

/** Whether the census leaves some GPU (some node, where none is asked for) uncounted: that one could take it. */
function censusFindsPlace(cluster: Cluster, ask: WorkloadRecord): boolean {
  const nodes = [...cluster.observed.values()].filter(({ state }) => state !== 'joining');
  const all = ask.ask.kind === 'none' ? nodes.length : nodes.reduce((sum, { gpus }) => sum + gpus.length, 0);
  return [...censusOf(cluster, ask).reasons.values()].reduce((sum, count) => sum + count, 0) < all;
}

describe('the index of bays and the census', () => {
  it('agree on whether there is a place, for every kind of ask, over whatever happens to a cluster', () => {
    const found = { yes: 0, no: 0 };
    fc.assert(
      fc.property(seeds, (seed) => {
        const drive = new Drive(seed, 4);
        for (let step = 0; step < 8; step += 1) {
          drive.arrive(below(drive.random, 6));
          drive.round();
          drive.happen();
          for (let probe = 0; probe < 6; probe += 1) {
            const ask = drive.next();
            const fits = tryNow(drive.cluster, ask, 0, drive.scheduler).kind === 'bound';
            expect([ask.ask, ask.constraints, fits]).toEqual([ask.ask, ask.constraints, censusFindsPlace(drive.cluster, ask)]);
            found[fits ? 'yes' : 'no'] += 1;
          }
        }
      }),
      { numRuns: 120 },
    );
    // Both answers are tested, and often.
    expect(Math.min(found.yes, found.no)).toBeGreaterThan(500);
  });
});

describe('a cluster in use', () => {
  it('breaks no invariant, moves nothing that runs, and accounts for every unit and thousandth', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const drive = new Drive(seed, 4);
        const { cluster } = drive;
        for (let step = 0; step < 12; step += 1) {
          const held = [...cluster.allocations.values()];
          drive.arrive(below(drive.random, 8));
          const { binds, waiting } = drive.round();
          expect(auditInvariants(cluster)).toEqual([]);
          for (const allocation of held) expect(cluster.allocations.get(allocation.id)).toBe(allocation);
          expect(new Set([...binds, ...waiting].map(({ workload }) => workload)).size).toBe(binds.length + waiting.length);
          for (const { placement } of binds) {
            const gpus = placement.devices.map(({ gpu }) => cluster.gpu(gpu));
            expect(new Set(gpus.map((gpu) => gpu?.node)).size).toBeLessThanOrEqual(1);
            expect(new Set(gpus.map((gpu) => `${gpu?.model} ${gpu?.memoryMiB}`)).size).toBeLessThanOrEqual(1);
          }
          drive.happen();
          expect(auditInvariants(cluster)).toEqual([]);
        }
        for (const allocation of cluster.allocations.values()) drive.end(allocation);
        expect(cluster.usedBy('default' as never)).toEqual({ compute: 0, memory: 0 });
        for (const name of cluster.observed.keys()) expect(cluster.useOf(name)).toMatchObject({ cpuMilli: 0, memoryMiB: 0 });
      }),
      { numRuns: 100 },
    );
  });

  it('gives what is first in the queue its place in the next round, whatever waits behind it', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const drive = new Drive(seed, 3);
        for (let step = 0; step < 6; step += 1) {
          drive.arrive(below(drive.random, 6));
          drive.happen();
          const [head] = drive.cluster.queue();
          if (head === undefined) continue;
          const fits = tryNow(drive.cluster, head, 0, drive.scheduler).kind === 'bound';
          expect(drive.round().binds.some(({ workload }) => workload === head.id)).toBe(fits);
        }
      }),
      { numRuns: 60 },
    );
  });
});

/** All that can be read of a cluster, in an order that does not depend on how it came to be. */
function everything(cluster: Cluster): unknown {
  const sorted = (map: ReadonlyMap<string, unknown>): unknown => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
  const ids = (allocations: readonly AllocationRecord[]): readonly string[] => allocations.map(({ id }) => id).sort();
  return structuredClone({
    workloads: sorted(cluster.workloads),
    allocations: sorted(cluster.allocations),
    layouts: sorted(cluster.layouts),
    records: sorted(cluster.nodes),
    workspaces: sorted(cluster.workspaces),
    observed: sorted(cluster.observed),
    queue: cluster.queue(),
    asked: cluster.asked.parts(),
    submissions: cluster.asked.total,
    used: cluster.usedBy('default' as never),
    gangs: [...cluster.workloads.values()]
      .sort((a, b) => a.sequence - b.sequence)
      .map((workload) => cluster.gangOf(workload).map(({ id }) => id)),
    nodes: [...cluster.observed.keys()].sort().map((name) => {
      const { cpuMilli, memoryMiB } = cluster.useOf(name);
      return [cpuMilli, memoryMiB, ids(cluster.allocationsOnNode(name))];
    }),
    gpus: [...cluster.gpus()]
      .sort((a, b) => (a.uuid < b.uuid ? -1 : 1))
      .map(({ uuid, node }) => {
        const { whole, slices, shares } = cluster.useOf(node).ofGpu(uuid);
        const inOrder = (all: readonly object[]): readonly string[] => all.map((one) => JSON.stringify(one)).sort();
        return [whole, inOrder(slices), inOrder(shares), ids(cluster.allocationsOnGpu(uuid)), cluster.gpu(uuid)];
      }),
  });
}

describe('an attempt', () => {
  it('leaves nothing behind: not in the cluster, and not in what placement says of it', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const drive = new Drive(seed, 3);
        const { cluster, random } = drive;
        drive.arrive(6);
        drive.round();
        const probes = Array.from({ length: 8 }, () => drive.next());
        const answers = (): unknown => probes.map((probe) => tryNow(cluster, probe, 0, drive.scheduler));
        const before = { everything: everything(cluster), answers: answers(), revision: cluster.revision };
        cluster.attempt(() => {
          for (let step = 0; step < 12; step += 1) {
            const name = pick(random, [...cluster.observed.keys()]);
            const running = [...cluster.allocations.values()];
            const what = random();
            if (what < 0.2) cluster.apply({ kind: 'workload', record: { ...drive.next(), gang: { name: 'g', least: 2, members: 3 } } });
            else if (what < 0.4 && running.length > 0) drive.end(pick(random, running));
            else if (what < 0.5) cluster.apply({ kind: 'observed-node-gone', name });
            else if (what < 0.6) changeNode(cluster, name, random);
            else if (what < 0.8) observeAgain(cluster, name, random);
            else pinAtRandom(cluster, random);
            if (cluster.observed.size === 0) break;
            decide(cluster, { nextAllocationId: drive.nextId, nowMs: 0 }, drive.scheduler);
          }
        });
        expect({ everything: everything(cluster), answers: answers(), revision: cluster.revision }).toEqual(before);
      }),
      // The second left behind a policy that was made for what was only tried.
      { numRuns: 80, examples: [[1], [497_291_883]] },
    );
  });
});

const sizes = [250, 500, 1000];
const demand = {
  classes: sizes.map((milli) => ({ cpuMilli: 1000, memoryMiB: 1000, gpus: 1, milli, pools: undefined })),
  weights: [1, 2, 3],
};

describe('a scheduler that was there all along', () => {
  // The demand is fixed: only it may be older than the cluster.
  it.each([
    ['best fit', () => bestFit({ cpuMilli: 64_000, gpus: 4 })],
    ['spread', () => spread],
    ['expected fill', () => expectedFill(demand, new Array<number>(64).fill(100), { ...expectedFillDefaults, offers: 3 })],
  ])('answers as one that is made now: %s', (_name, makePolicy) => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const drive = new Drive(seed, 6, (cluster) => new Scheduler(cluster, makePolicy));
        for (let step = 0; step < 40; step += 1) {
          drive.arrive(below(drive.random, 4));
          drive.round();
          drive.happen();
          if (step % 8 !== 7) continue;
          const fresh = new Scheduler(drive.cluster, makePolicy);
          for (let probe = 0; probe < 8; probe += 1) {
            const ask = drive.next();
            expect(tryNow(drive.cluster, ask, 0, drive.scheduler)).toEqual(tryNow(drive.cluster, ask, 0, fresh));
          }
        }
      }),
      // The second found free slices of a pinned layout taken in the order in which they were first seen.
      { numRuns: 30, examples: [[1], [2_147_483_639]] },
    );
  });

  it('does so after thousands of changes, and when nodes come and go', () => {
    const makePolicy = () => bestFit({ cpuMilli: 64_000, gpus: 4 });
    const drive = new Drive(20_260, 12, (cluster) => new Scheduler(cluster, makePolicy));
    const names = [...drive.cluster.observed.keys()] as NodeName[];
    const gone = new Map<NodeName, ReturnType<Cluster['observed']['get']>>();
    for (let step = 0; step < 2500; step += 1) {
      drive.arrive(below(drive.random, 3));
      drive.round();
      if (drive.cluster.observed.size > 1) drive.happen();
      if (step % 50 === 0) {
        const name = pick(drive.random, names);
        const node = gone.get(name);
        if (node !== undefined) drive.cluster.apply({ kind: 'observed-node', node });
        else if (drive.cluster.observed.size > 2) {
          gone.set(name, drive.cluster.observed.get(name));
          drive.cluster.apply({ kind: 'observed-node-gone', name });
        }
        if (node !== undefined) gone.delete(name);
        drive.cluster.keep();
      }
      if (drive.cluster.queuedCount > 40)
        for (const workload of drive.cluster.queue())
          drive.cluster.apply({ kind: 'workload', record: stepWorkload(workload, { kind: 'stop-asked', atMs: 1 }) });
      drive.cluster.keep();
    }
    const fresh = new Scheduler(drive.cluster, makePolicy);
    for (let probe = 0; probe < 400; probe += 1) {
      const ask = drive.next();
      expect(tryNow(drive.cluster, ask, 0, drive.scheduler)).toEqual(tryNow(drive.cluster, ask, 0, fresh));
    }
  });
});
