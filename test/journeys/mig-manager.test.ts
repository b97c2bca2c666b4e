// Beside another MIG manager the agent observes and says so; when it is gone, or an operator says so, the agent cuts.
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { AllocationState } from '@astrago/proto/agent';
import { afterEach, describe, expect, it } from 'vitest';
import { desired, LoneAgent, layoutOf } from '../../agent/src/testing/lone-agent.ts';

let agent: LoneAgent | undefined;
afterEach(async () => {
  await agent?.[Symbol.asyncDispose]();
  agent = undefined;
});

async function onHost(environment: Readonly<Record<string, string>> = {}): Promise<LoneAgent> {
  agent = await LoneAgent.make({}, { ASTRAGO_INVENTORY_PERIOD_MS: '300', ASTRAGO_PREPARE_TIMEOUT_MS: '2000', ...environment });
  return agent;
}

function put(made: LoneAgent, path: string, text = ''): string {
  const file = made.scratch.path('host', ...path.split('/'));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

async function finding(made: LoneAgent): Promise<string | undefined> {
  return (await made.inventory())?.conditions.find((condition) => condition.kind === 'other-mig-manager')?.detail;
}

const processStat = '4711 (nvidia-mig-mana) S 1 4711 4711 0 -1 4194560 100 0 0 0 1 1 0 0 20 0 1 0 100 1000 10\n';

describe('another MIG manager on the node', () => {
  it('that runs is let have its way: nothing is cut, existing slices serve, and the reason is told; after its end the agent goes on', async () => {
    const here = await onHost();
    here.smi('-i 0 -mig 1');
    here.smi('mig -i 0 -cgi 19:6 -C');
    const process = put(here, 'proc/4711/stat', processStat);
    here.start();
    await here.until(() => finding(here), 'the other manager is found');
    expect(await finding(here)).toMatch(
      /found: the process nvidia-mig-manager \(4711\)\. Disable it and stop it, or set ASTRAGO_MIG_MANAGEMENT=take-over/,
    );

    const uuid = here.gpus[0] ?? '';
    const ask = (id: string, profile: string, start: number) => ({
      id,
      workload: 'w',
      workspace: 's',
      devices: [{ gpuUuid: uuid, slice: { profile, start } }],
      intent: { case: 'run' as const, value: { command: ['sleep', '300'] } },
    });
    const [serves, waits] = [here.scratch.allocation(), here.scratch.allocation()];
    await here.order([desired(uuid, '1g.10gb@6 3g.40gb@0')], [ask(serves, '1g.10gb', 6), ask(waits, '3g.40gb', 0)]);
    await here.runs(serves);
    await here.until(
      async () => (await here.allocation(waits))?.state === AllocationState.FAILED,
      'the other is told that it waits in vain',
    );
    expect((await here.allocation(waits))?.detail).toContain('another MIG manager was found: the process nvidia-mig-manager');
    expect(here.steps).toEqual([]);
    expect(layoutOf(await here.gpu())).toBe('1g.10gb@6');
    expect((await here.gpu())?.conditions.map((condition) => condition.kind)).toEqual([]);

    rmSync(process);
    await here.until(async () => layoutOf(await here.gpu()) === '3g.40gb@0 1g.10gb@6', 'the wish is carried out');
    expect(await finding(here)).toBeUndefined();
  }, 60_000);

  it('that systemd starts at each boot counts as well, unless an operator takes over', async () => {
    const here = await onHost();
    const unit = put(here, 'usr/lib/systemd/system/nvidia-mig-manager.service', '[Service]\nType=oneshot\n');
    put(here, 'run/systemd/system/.keep');
    put(here, 'etc/systemd/system/multi-user.target.wants/.keep');
    symlinkSync(unit, here.scratch.path('host', 'etc/systemd/system/multi-user.target.wants/nvidia-mig-manager.service'));
    here.start();
    await here.until(() => finding(here), 'the unit is found');
    expect(await finding(here)).toContain('the systemd unit nvidia-mig-manager.service (enabled for multi-user.target)');
    await here.order([desired(here.gpus[0], '7g.80gb@0')]);
    await here.kill();
    expect(here.steps).toEqual([]);

    const { scratch } = here;
    agent = undefined;
    await using operated = await LoneAgent.make({}, { ASTRAGO_HOST_ROOT: scratch.path('host'), ASTRAGO_MIG_MANAGEMENT: 'take-over' });
    operated.start();
    await operated.order([desired(operated.gpus[0], '7g.80gb@0')]);
    await operated.until(async () => layoutOf(await operated.gpu()) === '7g.80gb@0', 'it is cut');
    expect(await finding(operated)).toBeUndefined();
    await here[Symbol.asyncDispose]();
  }, 60_000);
});
