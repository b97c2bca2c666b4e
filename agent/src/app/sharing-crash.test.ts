// kill -9 at every point of every sequence of sharing steps: before and after each ledger line, each command and each
// file. What the next agent makes of it is the old state where nothing is wanted any more, and else the new one.
import { parseGpuUuid } from '@astrago/shared/domain/ids';
import { systemClock } from '@astrago/shared/runtime/clock';
import { describe, expect, it } from 'vitest';
import type { Share } from '#core/order';
import type { MpsLimits } from '#core/sharing/mps-limits';
import type { ComputeMode, ModeChanged, MpsDaemonNow } from '#core/sharing/next-sharing-step';
import { DevicePlace } from './device-place.ts';
import { Holdings } from './holdings.ts';
import type { ObservedGpu } from './ports.ts';
import { SharedDevice } from './shared-device.ts';

const uuid = parseGpuUuid('GPU-00000000-0000-0000-0000-000000000001') ?? expect.unreachable();
const gpu: ObservedGpu = {
  uuid,
  index: 0,
  model: 'NVIDIA H100 80GB HBM3',
  pciBusId: '00000000:18:00.0',
  memoryMiB: 80_000,
  migCapable: true,
  migEnabled: false,
  migPending: undefined,
  profiles: [],
  slices: [],
};

class Killed extends Error {}

/** What outlives an agent. */
interface World {
  mode: ComputeMode;
  changed: ModeChanged | undefined;
  daemon: MpsDaemonNow;
  /** Its directory, which is there before it and after it. */
  directory: boolean;
  readonly ledger: string[];
}

const idle = (): World => ({ mode: 'default', changed: undefined, daemon: { kind: 'absent' }, directory: false, ledger: [] });
const mps: Share = { kind: 'mps', milli: 500, memoryMiB: undefined };
const turns: Share = { kind: 'time-sliced', milli: 500 };
const alone: Share = { kind: 'exclusive-process' };

/** An agent that wants `share` of the device, until all is done or it is killed at its `killAt`-th deed; how many deeds there were. */
async function live(
  world: World,
  share: Share | undefined,
  killAt = Number.POSITIVE_INFINITY,
): Promise<{ readonly deeds: number; readonly ready: boolean }> {
  let deeds = 0;
  const point = (): void => {
    deeds += 1;
    if (deeds >= killAt) throw new Killed();
  };
  /** Killed before it, or after it with nobody left to hear of it. */
  const deed = async (act: () => void): Promise<void> => {
    point();
    act();
    point();
  };
  const device = new SharedDevice(new DevicePlace(uuid, undefined, { gpu: () => gpu }), {
    control: {
      devices: async () => (world.directory ? [uuid] : []),
      look: async () => (world.daemon.kind === 'absent' && world.directory ? { kind: 'dead', servers: [] } : world.daemon),
      start: async () => {
        await deed(() => {
          world.directory = true;
        });
        await deed(() => {
          world.daemon = { kind: 'running', limits: { threadPercentage: 100 }, servers: [] };
        });
      },
      setLimits: async (_, { threadPercentage, memoryMiB }: MpsLimits) => {
        const set = (limits: Partial<MpsLimits>) => () => {
          if (world.daemon.kind === 'running') world.daemon = { ...world.daemon, limits: { ...world.daemon.limits, ...limits } };
        };
        await deed(set({ threadPercentage }));
        await deed(set({ memoryMiB }));
      },
      stop: async () => {
        await deed(() => {
          world.daemon = { kind: 'absent' };
        });
        await deed(() => {
          world.directory = false;
        });
      },
      clear: async () => {
        await deed(() => {
          world.daemon = { kind: 'absent' };
          world.directory = false;
        });
      },
      terminateClient: async () => undefined,
      clientEnvironment: () => ({}),
      isAlive: () => world.daemon.kind === 'running',
      processesOf: () => [],
      programOf: () => undefined,
    },
    computeModes: {
      computeMode: async () => world.mode,
      setComputeMode: (_, mode) =>
        deed(() => {
          world.mode = mode;
        }),
    },
    modes: {
      gpus: () => (world.changed === undefined ? [] : [uuid]),
      get: () => world.changed,
      remember: (_, changed) =>
        deed(() => {
          world.changed = changed;
        }),
      forget: () =>
        deed(() => {
          world.changed = undefined;
        }),
    },
    ledger: {
      intent: (_, step) =>
        deed(() => {
          world.ledger.push(`${step}?`);
        }),
      outcome: (_, step, result) =>
        deed(() => {
          world.ledger.push(`${step}: ${result}`);
        }),
    },
    driver: { observeProcesses: async () => [] },
    clock: systemClock,
    holdings: new Holdings(),
    waiting: () => (share === undefined ? [] : [{ id: 'alloc_1', slice: undefined, share }]),
    pids: async () => new Map(),
    strangersTimeoutMs: 1000,
    onProgress: () => undefined,
    onChange: () => undefined,
    onFreed: () => undefined,
  });
  if (world.directory) device.adopt(uuid);
  try {
    await device.work(new AbortController().signal);
  } catch (killed) {
    if (!(killed instanceof Killed)) throw killed;
  }
  return { deeds, ready: device.fact('alloc_1', share, { kind: 'ready', visible: [uuid] }).kind === 'ready' };
}

const stateOf = ({ mode, changed, daemon, directory }: World): object => ({ mode, changed, daemon, directory });

async function settled(from: World, share: Share | undefined): Promise<object> {
  const world = structuredClone(from);
  expect((await live(world, share)).ready).toBe(true);
  return stateOf(world);
}

const running: MpsDaemonNow = { kind: 'running', limits: { threadPercentage: 50, memoryMiB: 40_000 }, servers: [] };
const byMps: World = {
  ...idle(),
  mode: 'exclusive-process',
  changed: { before: 'default', set: 'exclusive-process' },
  daemon: running,
  directory: true,
};
const exclusive: World = { ...byMps, daemon: { kind: 'absent' }, directory: false };

describe('an agent that is killed while it', () => {
  it.each<[string, World, Share | undefined, number]>([
    ['gives a GPU to MPS', idle(), mps, 3],
    ['takes a GPU back from MPS', byMps, undefined, 3],
    ['gives a GPU from MPS to one process', byMps, alone, 1],
    ['gives a GPU from MPS to turns', byMps, turns, 3],
    ['gives a GPU to one process', idle(), alone, 1],
    ['gives a GPU from one process to MPS', exclusive, mps, 2],
    ['takes a GPU back from one process', exclusive, undefined, 2],
    ['starts a daemon that has died', { ...byMps, daemon: { kind: 'dead', servers: [] } }, mps, 3],
    ['gives a GPU of an exclusive mode to turns', { ...idle(), mode: 'exclusive-process' }, turns, 1],
  ])('%s leaves nothing half-way', async (_, from, share, steps) => {
    const undisturbed = structuredClone(from);
    const { deeds } = await live(undisturbed, share);
    const wanted = await settled(from, share);
    const nothing = await settled(from, undefined);
    expect(undisturbed.ledger.filter((line) => line.endsWith(': done'))).toHaveLength(steps);

    for (let killAt = 1; killAt <= deeds; killAt += 1) {
      const world = structuredClone(from);
      await live(world, share, killAt);
      const forth = structuredClone(world);
      expect([killAt, (await live(forth, share)).ready, stateOf(forth)]).toEqual([killAt, true, wanted]);
      // The order was taken back meanwhile.
      const back = structuredClone(world);
      await live(back, undefined);
      expect([killAt, stateOf(back)]).toEqual([killAt, nothing]);
    }
  });

  it('is killed again and again, at the same point of each life, gets there all the same', async () => {
    for (let killAt = 3; killAt <= 12; killAt += 1) {
      const world = idle();
      for (let life = 0; life < 30; life += 1) await live(world, mps, killAt);
      await live(world, mps);
      expect(stateOf(world)).toEqual(stateOf(byMps));
    }
  });
});
