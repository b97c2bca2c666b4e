// A GPU's whole life through the driver, on a simulated machine of each kind that behaves differently.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { arrange } from '@astrago/shared/domain/mig/arrange';
import { differencesFromCatalog, findCatalogModelByName } from '@astrago/shared/domain/mig/catalog';
import { gridOf, type MigGrid } from '@astrago/shared/domain/mig/grid';
import { formatLayout, isLegal } from '@astrago/shared/domain/mig/layout';
import { type ProfileName, parseProfileName } from '@astrago/shared/domain/mig/profile';
import { createMachine } from '@astrago/sim';
import { describe, expect, it, vi } from 'vitest';
import { DriverFault, type ObservedGpu } from '../app/ports.ts';
import { createSmiDriver, type SmiDriver } from './driver.ts';

// Real processes, a whole life of them, on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 180_000 });

const signal = new AbortController().signal;

interface World extends Disposable {
  readonly driver: SmiDriver;
  /** What is wrong with the machine from now on. */
  spoil(faults: unknown): void;
}

function firstOf<T>(items: readonly T[]): T {
  const [first] = items;
  if (first === undefined) throw new Error('there is none');
  return first;
}

function world(model: string, gpuCount: number): World {
  const directory = mkdtempSync(join(tmpdir(), `life-${model}-`));
  createMachine({ directory, model, gpuCount, seed: 7 });
  return {
    driver: createSmiDriver({ program: join(directory, 'bin/nvidia-smi') }),
    spoil: (faults) => {
      writeFileSync(join(directory, 'faults.json'), JSON.stringify(faults));
    },
    [Symbol.dispose]: () => {
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function gridOfGpu(gpu: ObservedGpu): MigGrid {
  const grid = gridOf(gpu.profiles);
  if (grid === undefined) throw new Error(`${gpu.model} lists no profiles`);
  return grid;
}

function layoutOf(gpu: ObservedGpu): string {
  return gpu.migEnabled ? formatLayout({ kind: 'mig', slices: gpu.slices }) : 'whole';
}

function names(...texts: readonly string[]): readonly ProfileName[] {
  return texts.map((text) => {
    const name = parseProfileName(text);
    if (name === undefined) throw new Error(text);
    return name;
  });
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (thrown) {
    return thrown instanceof DriverFault ? thrown.code : `not a driver fault: ${String(thrown)}`;
  }
  return 'no fault';
}

const lives: readonly { readonly model: string; readonly needsReset: boolean; readonly wanted: readonly string[] }[] = [
  { model: 'h100-80gb', needsReset: false, wanted: ['3g.40gb', '2g.20gb', '1g.10gb+me', '1g.10gb'] },
  { model: 'a100-40gb', needsReset: true, wanted: ['4g.20gb', '2g.10gb', '1g.5gb'] },
  { model: 'a30-24gb', needsReset: true, wanted: ['2g.12gb', '1g.6gb', '1g.6gb+me'] },
  { model: 'rtx-pro-6000', needsReset: false, wanted: ['2g.48gb', '1g.24gb+me.all', '1g.24gb-me'] },
];

describe.concurrent('a life on', () => {
  it.each(lives)(
    '$model',
    async ({ model, needsReset, wanted }) => {
      using here = world(model, 2);
      const { driver } = here;
      const [first, second] = (await driver.observe(signal)).gpus;
      if (first === undefined || second === undefined) throw new Error('two GPUs expected');
      const look = (): Promise<ObservedGpu> => driver.observeGpu(first.uuid, signal);

      expect(first).toMatchObject({ migCapable: true, migEnabled: false, slices: [] });
      expect(await codeOf(driver.createSlice(first.uuid, { profile: firstOf(names('9g.99gb')), start: 0 }, signal))).toBe(
        'unknown-profile',
      );

      here.spoil([{ match: { args: '-mig' }, action: { gpuBusy: needsReset } }]);
      const change = await driver.setMigMode(first.uuid, true, signal);
      here.spoil([]);
      expect(change).toBe(needsReset ? 'pending' : 'done');
      if (change === 'pending') {
        expect(await look()).toMatchObject({ migEnabled: false, migPending: true });
        await driver.resetGpu(first.uuid, signal);
      }
      const empty = await look();
      expect(empty).toMatchObject({ migEnabled: true, migPending: undefined, slices: [] });
      const known = findCatalogModelByName(empty.model);
      expect(known && differencesFromCatalog(known, empty.profiles)).toEqual([]);
      expect(known?.modeChangeNeedsReset).toBe(needsReset);

      const grid = gridOfGpu(empty);
      const layout = arrange(grid, [], names(...wanted));
      if (layout === undefined) throw new Error('no room');
      for (const slice of layout) await driver.createSlice(first.uuid, slice, signal);
      const full = await look();
      expect(layoutOf(full)).toBe(formatLayout({ kind: 'mig', slices: layout }));
      expect(isLegal(grid, full.slices)).toBe(true);
      expect(new Set(full.slices.map((slice) => slice.migUuid)).size).toBe(layout.length);
      for (const slice of full.slices) expect(slice).toMatchObject({ migUuid: expect.stringMatching(/^MIG-/), computeInstanceId: 0 });
      expect(await codeOf(driver.createSlice(first.uuid, firstOf(layout), signal))).toBe('insufficient-resources');
      expect((await driver.observe(signal)).gpus.map(layoutOf)).toEqual([layoutOf(full), 'whole']);

      const [gone, ...kept] = full.slices;
      if (gone === undefined) throw new Error('no slice');
      await driver.destroySlice(first.uuid, gone.gpuInstanceId, signal);
      expect((await look()).slices).toEqual(kept);
      expect(await codeOf(driver.destroySlice(first.uuid, gone.gpuInstanceId, signal))).toBe('not-found');
      await driver.createSlice(first.uuid, gone, signal);
      expect(layoutOf(await look())).toBe(layoutOf(full));

      expect(await driver.observeProcesses(signal)).toEqual([]);
      const { samples } = await driver.telemetryOnce(signal);
      expect(samples).toMatchObject([
        { gpuUuid: first.uuid, values: { temperature: expect.any(Number), power: expect.any(Number) } },
        { gpuUuid: second.uuid, values: { 'gpu-utilization': expect.any(Number) } },
      ]);
      expect(samples[0]?.values).not.toHaveProperty('gpu-utilization');

      for (const slice of (await look()).slices) await driver.destroySlice(first.uuid, slice.gpuInstanceId, signal);
      // Looks at the same time must not make the change a pending one.
      const [off] = await Promise.all([
        driver.setMigMode(first.uuid, false, signal),
        driver.telemetryOnce(signal),
        driver.observeGpu(second.uuid, signal),
      ]);
      expect(off).toBe('done');
      expect(await look()).toMatchObject({ migEnabled: false, migPending: undefined, slices: [] });
      expect(driver.hungCommands()).toBe(0);
    },
    180_000,
  );
});

describe.concurrent('on a simulated machine', () => {
  it('half a slice is seen as such, and completed', async () => {
    using here = world('h100-80gb', 1);
    const { driver } = here;
    const [gpu] = (await driver.observe(signal)).gpus;
    if (gpu === undefined) throw new Error('no GPU');
    await driver.setMigMode(gpu.uuid, true, signal);
    here.spoil([{ match: { args: '-cgi' }, action: { dieAfterSteps: 1 } }]);
    await codeOf(driver.createSlice(gpu.uuid, { profile: firstOf(names('3g.40gb')), start: 4 }, signal));
    here.spoil([]);

    const half = (await driver.observeGpu(gpu.uuid, signal)).slices;
    expect(half).toMatchObject([{ profile: '3g.40gb', start: 4, computeInstanceId: undefined, migUuid: undefined }]);
    await driver.completeSlice(gpu.uuid, half[0]?.gpuInstanceId ?? -1, signal);

    expect((await driver.observeGpu(gpu.uuid, signal)).slices).toMatchObject([
      { computeInstanceId: expect.any(Number), migUuid: expect.stringMatching(/^MIG-/) },
    ]);
  }, 30_000);

  it.each([true, false])(
    'a lost GPU does not hide the others (aborting: %s)',
    async (aborts) => {
      using here = world('h100-80gb', 3);
      const { driver } = here;
      const all = (await driver.observe(signal)).gpus.map((gpu) => gpu.uuid);

      here.spoil({ gpuLost: { uuid: all[1], aborts } });

      expect((await driver.observe(signal)).gpus.map((gpu) => gpu.uuid)).toEqual([all[0], all[2]]);
      expect(await codeOf(driver.observeGpu(firstOf(all.slice(1)), signal))).toBe('gpu-lost');
      expect((await driver.telemetryOnce(signal)).samples.map((own) => own.gpuUuid)).toEqual([all[0], all[2]]);
    },
    180_000,
  );

  it('a machine without its driver is called so', async () => {
    using here = world('l40s', 1);
    here.spoil({ driverDown: true });
    expect(await codeOf(here.driver.observe(signal))).toBe('driver-unavailable');
    here.spoil({ libraryMismatch: true });
    expect(await codeOf(here.driver.observe(signal))).toBe('driver-unavailable');
    here.spoil({ noDevices: true });
    expect(await here.driver.observe(signal)).toEqual({ driverVersion: undefined, gpus: [] });
    here.spoil({});
    expect((await here.driver.observe(signal)).gpus).toMatchObject([{ migCapable: false, profiles: [], slices: [] }]);
  }, 30_000);
});
