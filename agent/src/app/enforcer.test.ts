import type { EnforcementMode } from '@astrago/shared/domain/enforcement';
import { type GpuUuid, parseGpuUuid } from '@astrago/shared/domain/ids';
import type { Clock } from '@astrago/shared/runtime/clock';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptyOrder, type Order } from '#core/order';
import { Enforcer, type EnforcerDeps } from './enforcer.ts';
import { type AttributedProcess, NodeState } from './node-state.ts';
import type { EnforcementAction } from './ports.ts';

function uuid(digit: number): GpuUuid {
  const parsed = parseGpuUuid(`GPU-00000000-0000-0000-0000-00000000000${digit}`);
  if (parsed === undefined) throw new Error('the test is wrong');
  return parsed;
}

const [named, unnamed] = [uuid(1), uuid(2)];
const never = new AbortController().signal;

function orderWith(mode: EnforcementMode, graceSeconds = 10): Order {
  return {
    ...emptyOrder,
    gpus: [{ uuid: named, layout: { kind: 'whole' } }],
    enforcement: { foreignProcess: mode, outsideAllocation: mode, memoryOverShare: mode, graceSeconds },
  };
}

/** One node whose time, processes, ledger and controller a test sets. */
function bench(order: Order, more: Partial<EnforcerDeps> = {}) {
  const world = {
    nowMs: 0,
    heardAtMs: 0 as number | undefined,
    order,
    diskFull: false,
    obstacle: undefined as 'protected' | 'not-permitted' | undefined,
    answer: 'sent' as 'sent' | 'gone' | 'not-permitted',
    /** Everything that happens, in its order. */
    events: [] as string[],
    written: [] as EnforcementAction[],
  };
  const clock: Clock = {
    nowMs: () => 1_000_000 + world.nowMs,
    elapsedMs: () => world.nowMs,
    sleep: (_, signal) => new Promise((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true })),
  };
  const state = new NodeState(clock.nowMs);
  for (const [index, gpu] of [named, unnamed].entries()) {
    state.setGpu({
      uuid: gpu,
      index,
      model: 'H100',
      pciBusId: '',
      memoryMiB: 80_000,
      migCapable: true,
      migEnabled: false,
      migPending: undefined,
      profiles: [],
      slices: [],
    });
  }
  const enforcer = new Enforcer({
    state,
    clock,
    ledger: {
      get order() {
        return world.order;
      },
      deed: async (action) => {
        if (world.diskFull) throw new Error('no space left on device');
        world.events.push(`write ${action.deed} ${action.pid}`);
        world.written.push(action);
      },
      outcome: async (_, step, result) => {
        world.events.push(`outcome ${step}: ${result}`);
      },
    },
    signals: {
      obstacle: () => world.obstacle,
      send: (pid, startTime, signal) => {
        world.events.push(`${signal} ${pid}/${startTime}`);
        return world.answer;
      },
    },
    controllerHeardAtMs: () => world.heardAtMs,
    log: () => undefined,
    ...more,
  });
  const look = async (atSeconds: number, processes: readonly AttributedProcess[]): Promise<void> => {
    world.nowMs = atSeconds * 1000;
    await enforcer.look(processes, never);
  };
  const conditions = (gpu = named) => (state.inventory.current?.conditions.get(gpu) ?? []).map(({ kind, detail }) => `${kind}: ${detail}`);
  const told = () => (state.enforcement.current ?? []).map(({ deed, pid, detail }) => `${deed} ${pid}: ${detail}`);
  return { world, look, conditions, told, state };
}

function stranger(more: Partial<AttributedProcess> = {}): AttributedProcess {
  return {
    gpuUuid: named,
    gpuInstanceId: undefined,
    computeInstanceId: undefined,
    pid: 7,
    name: 'python',
    usedMemoryMiB: 100,
    allocation: undefined,
    startTime: '70',
    ...more,
  };
}

describe('a stranger on a GPU', () => {
  it('is a condition of that GPU as long as it is there, and nothing more while it is observed', async () => {
    const { world, look, conditions, told } = bench({ ...orderWith('observe') });
    await look(0, [stranger({ podUid: 'some-pod' })]);
    expect(conditions()).toEqual(['foreign-process: process 7 (python) in pod some-pod uses the GPU and belongs to no allocation']);
    expect(conditions(unnamed)).toEqual([]);
    await look(100, [stranger({ podUid: 'some-pod', usedMemoryMiB: 200 })]);
    await look(200, []);

    expect(conditions()).toEqual([]);
    expect(world.events).toEqual([]);
    expect(told()).toEqual([]);
  });

  it('does not fill the condition however many there are', async () => {
    const { look, conditions } = bench(orderWith('observe'));
    await look(
      0,
      [9, 3, 5, 4, 8].map((pid) => stranger({ pid })),
    );
    expect(conditions()[0]).toMatch(/^foreign-process: process 3 .*; process 4 .*; process 5 .*; and 2 more$/);
  });

  it('that the policy ends is told in the ledger first, then signalled, then reported', async () => {
    const { world, look, told } = bench(orderWith('terminate'));
    for (const at of [0, 5, 10, 15, 20, 30]) await look(at, [stranger()]);

    expect(world.events).toEqual([
      'write terminated 7',
      'SIGTERM 7/70',
      'outcome terminated process 7: sent',
      'write killed 7',
      'SIGKILL 7/70',
      'outcome killed process 7: sent',
    ]);
    expect(told()).toEqual([
      'terminated 7: process 7 (python) uses the GPU and belongs to no allocation (100 MiB); it was told to end',
      'killed 7: process 7 (python) uses the GPU and belongs to no allocation (100 MiB); it did not end when told, and was killed',
    ]);
    expect(world.written[0]).toMatchObject({ finding: 'foreign-process', gpu: named, startTime: '70', atMs: 1_010_000 });
  });

  it('is not signalled while that cannot be written down', async () => {
    const { world, look, told } = bench(orderWith('terminate'));
    world.diskFull = true;
    for (const at of [0, 10, 20]) await look(at, [stranger()]);
    expect(world.events).toEqual([]);
    expect(told()).toEqual([]);

    world.diskFull = false;
    await look(21, [stranger()]);
    expect(world.events).toEqual(['write terminated 7', 'SIGTERM 7/70', 'outcome terminated process 7: sent']);
  });

  it.each([
    ['the controller was never heard', { heardAtMs: undefined }, {}, 'the controller has not been heard for too long'],
    ['the agent may not signal it', { obstacle: 'not-permitted' as const }, {}, 'the agent may not signal it'],
    ['it is what the agent stands on', { obstacle: 'protected' as const }, {}, 'it is the first process'],
    ['no order names its GPU', {}, { gpuUuid: unnamed }, 'no order names this GPU'],
    ['nobody can see it', {}, { startTime: undefined }, 'the process cannot be seen on this node'],
  ])('is left alone when %s, and that is told once', async (_, situation, process, text) => {
    const { world, look, told } = bench(orderWith('terminate'));
    Object.assign(world, situation);
    for (const at of [0, 10, 20, 30, 40]) await look(at, [stranger(process)]);

    expect(told()).toEqual([expect.stringContaining(`it was not ended: ${text}`)]);
    expect(world.events).toEqual(['write held-back 7']);
  });

  it('is left alone from when the controller has been silent for a minute until a whole grace after it was heard', async () => {
    const { world, look } = bench(orderWith('terminate', 30));
    await look(59, [stranger()]);
    await look(61, [stranger()]);
    await look(100, [stranger()]);
    expect(world.events).toEqual(['write held-back 7']);

    world.heardAtMs = 110_000;
    for (const at of [110, 129]) await look(at, [stranger()]);
    expect(world.events).toEqual(['write held-back 7']);
    await look(140, [stranger()]);
    expect(world.events.slice(1)).toEqual(['write terminated 7', 'SIGTERM 7/70', 'outcome terminated process 7: sent']);
  });

  it('that ended meanwhile is told so', async () => {
    const { world, look, told } = bench(orderWith('terminate', 0));
    world.answer = 'gone';
    for (const at of [0, 1]) await look(at, [stranger()]);
    expect(told()).toEqual([expect.stringMatching(/; it was told to end; it had ended already$/)]);
  });

  it('that was listed and had just ended is no finding', async () => {
    const { look, conditions } = bench(orderWith('observe'));
    await look(0, [stranger({ startTime: undefined })]);
    expect(conditions()).toEqual([]);
    await look(1, [stranger({ startTime: undefined })]);
    expect(conditions()).toHaveLength(1);
  });
});

describe('an MPS server', () => {
  it('of ours is no stranger, also while it ends after its last holder; one of somebody else is', async () => {
    const server = stranger({ name: 'nvidia-cuda-mps-server', mpsRole: 'server' });
    const { look, conditions } = bench(orderWith('observe'), { servesMps: (gpu) => gpu === named });
    await look(0, [server, { ...server, gpuUuid: unnamed }]);

    expect(conditions(named)).toEqual([]);
    expect(conditions(unnamed)).toHaveLength(1);
  });
});

describe('a client of an MPS server', () => {
  const devices = [{ gpu: uuid(2), slice: undefined }];
  const client = stranger({ allocation: 'x', devices, mpsRole: 'client' });

  it.each([
    ['lets it go', async () => 'ended' as const],
    ['does not know it', async () => 'unknown' as const],
    ['cannot be asked', async () => Promise.reject(new Error('no daemon'))],
  ])('is killed after its server was asked to drop it, also when that %s', async (_, endMpsClient) => {
    const asked: string[] = [];
    const { world, look } = bench(orderWith('terminate', 0), {
      endMpsClient: (pid, gpu) => {
        asked.push(`${pid} ${gpu} after ${world.events.at(-1)}`);
        return endMpsClient();
      },
    });
    for (const at of [0, 1, 2]) await look(at, [client]);

    expect(asked).toEqual([`7 ${named} after write killed 7`]);
    expect(world.events).toContain('SIGKILL 7/70');
  });
});

describe('in any history', () => {
  it('every deed is in the ledger once and in the report once, and nothing is signalled that was held back', async () => {
    const moment = fc.record({
      after: fc.integer({ min: 0, max: 8 }),
      pids: fc.subarray([7, 8, 9], { minLength: 1 }),
      heard: fc.boolean(),
      mode: fc.constantFrom<EnforcementMode>('terminate', 'terminate', 'terminate', 'notify', 'observe'),
      diskFull: fc.integer({ min: 0, max: 5 }),
      obstacle: fc.integer({ min: 0, max: 5 }),
    });
    let deeds = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(moment, { maxLength: 25 }), async (moments) => {
        const { world, look, state } = bench(orderWith('terminate', 5), { controllerSilenceMaxMs: 3000 });
        let at = 0;
        for (const one of moments) {
          at += one.after;
          if (one.heard) world.heardAtMs = at * 1000;
          world.order = orderWith(one.mode, 5);
          world.diskFull = one.diskFull === 0;
          world.obstacle = one.obstacle === 0 ? 'not-permitted' : undefined;
          const before = world.events.length;
          await look(
            at,
            one.pids.map((pid) => stranger({ pid })),
          );
          const silent = world.heardAtMs === undefined || at * 1000 - world.heardAtMs > 3000;
          const signals = world.events.slice(before).filter((event) => event.startsWith('SIG'));
          if (silent || world.obstacle !== undefined || one.mode !== 'terminate') expect(signals).toEqual([]);
        }
        expect(state.enforcement.current ?? []).toEqual(world.written);
        deeds += world.written.length;
        const signalled = world.events.filter((event) => event.startsWith('SIG')).length;
        expect(signalled).toBe(world.written.filter(({ deed }) => deed === 'terminated' || deed === 'killed').length);
        // What was written comes right before its signal.
        for (const [index, event] of world.events.entries())
          if (event.startsWith('SIG')) expect(world.events[index - 1]).toMatch(/^write (terminated|killed) /);
      }),
      { numRuns: 100 },
    );
    expect(deeds).toBeGreaterThan(50);
  });
});
