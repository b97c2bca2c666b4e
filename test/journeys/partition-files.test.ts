// A whole node is cut by a file of mig-parted, exported, cut otherwise, and brought back by what was exported.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startWorld, until, type World } from '../world/index.ts';

const program = join(import.meta.dirname, '../../controller/cli/main.ts');

let world: World;
beforeAll(async () => {
  world = await startWorld({ nodes: 1, gpus: 2 });
}, 90_000);
afterAll(() => world?.[Symbol.asyncDispose]());

function astrago(...argv: readonly string[]): { readonly code: number | null; readonly out: string; readonly err: string } {
  const env = { PATH: process.env['PATH'], ASTRAGO_URL: world.url, ASTRAGO_TOKEN: readFileSync(world.adminTokenFile, 'utf8').trim() };
  const ran = spawnSync(process.execPath, [program, ...argv], { env, encoding: 'utf8' });
  return { code: ran.status, out: ran.stdout, err: ran.stderr };
}

async function live(): Promise<string> {
  const { items } = await world.client.listGpus();
  const layouts = items
    .toSorted((a, b) => a.index - b.index)
    .map(({ migEnabled, slices }) => {
      const made = slices.filter((slice) => slice.state === 'live').map((slice) => `${slice.profile}@${slice.start}`);
      return migEnabled ? made.sort().join(' ') : 'whole';
    });
  return layouts.join(' | ');
}

it('round, with a slice in use that stays where it is', async () => {
  const file = join(world.directory, 'config.yaml');
  writeFileSync(
    file,
    `version: v1
mig-configs:
  all-balanced:
    - device-filter: ["0x20B010DE"]
      devices: all
      mig-enabled: true
      mig-devices: {"1g.5gb": 2, "2g.10gb": 1, "3g.20gb": 1}
    - device-filter: ["0x233010DE"]
      devices: [0]
      mig-enabled: true
      mig-devices: {"1g.10gb": 2, "2g.20gb": 1, "3g.40gb": 1}
    - {devices: [1], mig-enabled: true, mig-placements: [{profile: 3g.40gb, start: 4}]}
  all-disabled: [{devices: all, mig-enabled: false}]
`,
  );
  expect(astrago('partition', 'import', file, '--config', 'all-balanced', '--yes')).toMatchObject({ code: 0, err: '' });
  await until(async () => (await live()).split(' ').length === 6, 'both GPUs are cut');
  const cut = await live();
  expect(cut).toMatch(/^1g\.10gb@\d 1g\.10gb@\d 2g\.20gb@\d 3g\.40gb@\d \| 3g\.40gb@4$/);

  const counts = astrago('partition', 'export');
  expect(counts).toMatchObject({ code: 0, out: expect.not.stringContaining('mig-placements') as string });
  const exported = join(world.directory, 'exported.yaml');
  expect(astrago('partition', 'export', '--node', 'sim-1', '--format', 'astrago', '-o', exported).code).toBe(0);

  await world.client.submitWorkload({ body: { name: 'user', command: ['sleep', '300'], slice: '2g.20gb' } });
  await world.reaches('user', 'running');
  const refused = astrago('partition', 'import', file, '--config', 'all-disabled', '--yes');
  expect(refused.code).toBe(5);
  expect(refused.err).toContain('in the way: user');
  expect(await live()).toBe(cut);

  expect(astrago('partition', 'sim-1/0', '--layout', '2g.20gb*3').code).toBe(0);
  await until(async () => (await live()) !== cut && (await live()).startsWith('2g.20gb@0 2g.20gb@2 2g.20gb@4 |'), 'it is cut otherwise');
  expect(astrago('partition', 'import', exported, '--config', 'current', '--yes')).toMatchObject({ code: 0 });
  await until(async () => (await live()) === cut, 'it is as it was exported');
  expect(await world.workload('user')).toMatchObject({ phase: 'running' });
}, 120_000);
