import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decide } from '@astrago/controller/core/scheduling/decide';
import { trialIds } from '@astrago/controller/core/scheduling/fits';
import { loadSnapshot } from '@astrago/controller/core/snapshot/load';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startWorld, until, type World } from '../world/index.ts';

const program = join(import.meta.dirname, '../../controller/cli/main.ts');

interface Decided {
  readonly binds: readonly {
    readonly workload: string;
    readonly placement: { readonly node: string; readonly devices: readonly { readonly gpu: string; readonly slice?: unknown }[] };
  }[];
  readonly waiting: readonly { readonly workload: string; readonly obstacle: string }[];
}

describe('a snapshot of a running cluster', () => {
  let world: World;
  const elsewhere = mkdtempSync(join(tmpdir(), 'astrago-elsewhere-'));
  beforeAll(async () => {
    world = await startWorld({ nodes: 2, gpus: 2 });
  }, 90_000);
  afterAll(async () => {
    rmSync(elsewhere, { recursive: true, force: true });
    await world?.[Symbol.asyncDispose]();
  });

  const astrago = (...words: readonly string[]) => {
    const token = readFileSync(world.adminTokenFile, 'utf8').trim();
    const environment = { PATH: process.env['PATH'] ?? '', ASTRAGO_URL: world.url, ASTRAGO_TOKEN: token };
    return spawnSync(process.execPath, [program, ...words], { cwd: elsewhere, encoding: 'utf8', env: environment });
  };
  /** Without a cluster to ask. */
  const decideOn = (file: string, ...options: readonly string[]) =>
    spawnSync(process.execPath, [program, 'decide', file, ...options], {
      cwd: elsewhere,
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] ?? '' },
    });

  it('is decided on elsewhere, without a controller, as the controller decides', async () => {
    const submit = (name: string, more: object) =>
      world.client.submitWorkload({ body: { name, command: ['sleep', '300'], environment: { TOKEN: 'hunter2' }, ...more } });
    await submit('full', { gpus: 2 });
    await world.reaches('full', 'running');
    await submit('holder', { slice: '3g.40gb' });
    const { node = '' } = await world.reaches('holder', 'running');
    await world.client.cordonNode({ params: { node } });
    await submit('small', { slice: '1g.10gb' });
    await submit('smaller', { slice: '1g.10gb' });
    await submit('whole', { gpus: 1 });
    await submit('pair', { gpus: 2 });
    await submit('half', { slice: '4g.40gb' });
    await until(async () => (await world.workload('half')).reason !== 'PendingEvaluation', 'all were looked at');

    const saved = astrago('snapshot', 'cluster.json');
    expect({ code: saved.status, err: saved.stderr }).toEqual({ code: 0, err: '' });
    const text = readFileSync(join(elsewhere, 'cluster.json'), 'utf8');
    expect(text).not.toContain('hunter2');
    expect(text).not.toContain('sleep');

    // As it is nothing may start; the same file with the node open says what will.
    const closed = JSON.parse(decideOn('cluster.json', '--json').stdout) as Decided;
    expect([closed.binds.length, closed.waiting.length]).toEqual([0, 5]);
    const document = JSON.parse(text) as { cluster: { nodes: { cordoned: boolean }[] } };
    for (const record of document.cluster.nodes) record.cordoned = false;
    writeFileSync(join(elsewhere, 'open.json'), JSON.stringify(document));
    const told = JSON.parse(decideOn('open.json', '--json').stdout) as Decided;

    const loaded = loadSnapshot(document);
    if (loaded.kind !== 'cluster') return expect.unreachable(loaded.text);
    const { binds } = decide(loaded.cluster, { nextAllocationId: trialIds(), nowMs: loaded.nowMs });
    expect(told.binds).toEqual(JSON.parse(JSON.stringify(binds)));
    expect(told.binds.length).toBeGreaterThanOrEqual(3);

    await world.client.uncordonNode({ params: { node } });
    for (const { workload, placement } of told.binds) {
      const live = await until(async () => {
        const found = await world.client.getWorkload({ params: { workload } });
        return found.node !== undefined && found;
      }, `${workload} is placed`);
      expect({
        node: live.node,
        devices: live.devices.map(({ gpuUuid, slice }) => ({ gpu: gpuUuid, ...(slice === undefined ? {} : { slice }) })),
      }).toEqual({
        node: placement.node,
        devices: placement.devices,
      });
    }
    expect(decideOn('open.json').stdout).toContain(`${told.binds.length} start`);
  }, 120_000);

  it('is refused with what is wrong and where, when it was damaged', () => {
    const document = JSON.parse(readFileSync(join(elsewhere, 'cluster.json'), 'utf8')) as { cluster: { observed: { gpus: unknown }[] } };
    (document.cluster.observed[0] as { gpus: unknown }).gpus = 'two';
    writeFileSync(join(elsewhere, 'damaged.json'), JSON.stringify(document));
    writeFileSync(join(elsewhere, 'cut.json'), readFileSync(join(elsewhere, 'cluster.json'), 'utf8').slice(0, 500));

    const damaged = decideOn('damaged.json');
    expect({ code: damaged.status, out: damaged.stdout }).toEqual({ code: 2, out: '' });
    expect(damaged.stderr).toContain('damaged.json cannot be decided on: cluster.observed[0].gpus is a string, not a list');
    expect(decideOn('cut.json').status).toBe(2);
    expect(decideOn('nowhere.json').stderr).toContain('no such file');
  });
});
