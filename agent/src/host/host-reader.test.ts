import { describe, expect, it } from 'vitest';
import { until } from '../testing/until.ts';
import { hostReader, type SystemQueries } from './host-reader.ts';

const memory = { total: 100, available: 60, swaptotal: 10, swapused: 1 };
const device = { iface: 'eth0', operstate: 'up', rx_bytes: 1, tx_bytes: 2, rx_errors: 3, tx_errors: 4 };

/** Answers as systeminformation does; only what is read is there. */
function system(more: Readonly<Record<string, () => Promise<unknown>>> = {}): SystemQueries {
  const answers = {
    mem: async () => memory,
    fsSize: async () => [{ fs: '/dev/vda', type: 'ext4', size: 100, available: 40, mount: '/' }],
    fsStats: async () => ({ rx: 5, wx: 6 }),
    networkStats: async () => [device],
    ...more,
  };
  return answers as unknown as SystemQueries;
}

/** A clock whose time limits pass when the test says so. */
function limits() {
  const waiting: (() => void)[] = [];
  const sleep = (_: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      waiting.push(resolve);
      signal?.addEventListener('abort', () => resolve(), { once: true });
    });
  const pass = (): void => {
    for (const resolve of waiting.splice(0)) resolve();
  };
  return { clock: { sleep }, pass };
}

const interfaces = (): string[] => ['eth0'];

describe('the host reader', () => {
  it('tells what systeminformation found, in base units', async () => {
    const { facts, failures } = await hostReader({ load: async () => system(), interfaces }).read();

    expect(failures).toEqual([]);
    expect(facts).toMatchObject({
      memory: { totalBytes: 100, availableBytes: 60, swapTotalBytes: 10, swapUsedBytes: 1 },
      fileSystems: [{ mountPoint: '/', type: 'ext4', sizeBytes: 100, availableBytes: 40 }],
      disks: { readBytes: 5, writtenBytes: 6 },
      networks: [{ device: 'eth0', receivedBytes: 1, sentBytes: 2, receiveErrors: 3, sendErrors: 4 }],
    });
    expect(facts.processors?.count).toBeGreaterThan(0);
    expect(facts.processors?.seconds.user).toBeGreaterThan(0);
  });

  it('takes the zeros of a failed reading for nothing, not for zero', async () => {
    const nothing = system({
      mem: async () => ({ ...memory, available: 0 }),
      fsStats: async () => ({ rx: 0, wx: 0 }),
      networkStats: async () => [{ ...device, operstate: 'unknown', rx_bytes: 0, tx_bytes: 0 }],
    });
    const { facts, failures } = await hostReader({ load: async () => nothing, interfaces }).read();

    expect(failures).toEqual(['memory could not be read']);
    expect(facts.memory).toBeUndefined();
    expect(facts.disks).toBeUndefined();
    expect(facts.networks).toEqual([]);
  });

  it('goes without what hangs, and asks for it again only when it has ended', async () => {
    let asked = 0;
    const stuck = Promise.withResolvers<never[]>();
    const fsSize = () => {
      asked += 1;
      return asked === 1 ? stuck.promise : Promise.resolve([]);
    };
    const { clock, pass } = limits();
    const reader = hostReader({ load: async () => system({ fsSize }), clock, interfaces });

    const first = reader.read();
    await until(() => asked === 1, 'the file systems were asked for');
    pass();
    const { facts, failures } = await first;
    expect(failures).toEqual(['fileSystems took more than 5000 ms']);
    expect(facts.memory?.totalBytes).toBe(100);

    expect((await reader.read()).failures).toEqual(['fileSystems has not ended since it was last asked']);
    expect(asked).toBe(1);

    stuck.resolve([]);
    await until(async () => (await reader.read()).failures.length === 0, 'it is asked again');
    expect(asked).toBe(2);
  });

  it('loads systeminformation once, at the first reading', async () => {
    let loads = 0;
    const reader = hostReader({
      load: async () => {
        loads += 1;
        return system();
      },
      interfaces,
    });
    expect(loads).toBe(0);
    await reader.read();
    await reader.read();
    expect(loads).toBe(1);
  });

  it('reads this machine', async () => {
    const reader = hostReader();
    // A part that takes too long on a busy machine is asked again.
    const facts = await until(async () => {
      const read = await reader.read();
      return read.failures.length === 0 && read.facts;
    }, 'every part was read');

    expect(facts.memory?.availableBytes).toBeLessThan(facts.memory?.totalBytes ?? 0);
    for (const one of facts.fileSystems ?? []) expect(one.availableBytes).toBeLessThanOrEqual(one.sizeBytes);
  });
});
