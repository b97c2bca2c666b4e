// Strangers on a simulated GPU, and the agent as it is run, spoken to as a controller does.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { EnforcementDeed, EnforcementMode } from '@astrago/proto/agent';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { readCommandLine, readProc } from './processes/proc.ts';
import { LoneAgent } from './testing/lone-agent.ts';
import { until } from './testing/until.ts';

// Real processes on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 180_000 });

const strangers: ChildProcess[] = [];
afterAll(() => {
  for (const child of strangers) child.kill('SIGKILL');
});

/** Each test has a machine of its own, so that they run side by side. */
function startAgent(environment: Readonly<Record<string, string>> = {}): Promise<LoneAgent> {
  return LoneAgent.running({}, { ASTRAGO_DETAIL_PERIOD_MS: '100', ASTRAGO_SAMPLE_PERIOD_MS: '10000', ...environment });
}

/** Whatever has a GPU in its environment sits on it, to the simulated driver. */
async function stranger(on: LoneAgent, script = 'exec sleep 300'): Promise<{ readonly child: ChildProcess; readonly pid: number }> {
  const child = spawn('sh', ['-c', script], { env: { PATH: process.env['PATH'], CUDA_VISIBLE_DEVICES: on.gpus[0] }, stdio: 'ignore' });
  strangers.push(child);
  const pid = child.pid ?? 0;
  // Only then has it heard what it is to ignore.
  await until(() => readCommandLine(pid)[0] === 'sleep', 'the stranger sits there');
  return { child, pid };
}

function policy(mode: EnforcementMode, graceSeconds: number) {
  return { foreignProcess: mode, outsideAllocation: mode, memoryOverShare: mode, graceSeconds };
}

const whole = (on: LoneAgent) => on.gpus.map((uuid) => ({ uuid, layout: { case: 'whole' as const, value: {} } }));
const condition = (on: LoneAgent, kind: string) =>
  on.reports.inventory?.gpus.flatMap(({ conditions }) => conditions).find((one) => one.kind === kind)?.detail;
const deeds = (on: LoneAgent) => (on.reports.enforcement?.actions ?? []).map(({ deed, pid }) => `${EnforcementDeed[deed]} ${pid}`);
const inLedger = (on: LoneAgent) => on.steps.filter((line) => line.includes('"deed"'));

describe.concurrent('a stranger on a GPU', () => {
  it('is shown and reported, and lives, where the policy observes or there is none', async () => {
    await using on = await startAgent();
    await on.mustApply({ gpus: whole(on) });
    const { child, pid } = await stranger(on);

    const text = await on.until(() => condition(on, 'foreign-process'), 'the stranger is a condition');
    expect(text).toMatch(new RegExp(`^process ${pid} \\(.*sleep.*\\) .*belongs to no allocation$`));
    expect(on.reports.processes?.processes.find((one) => one.pid === pid)?.allocation).toBeUndefined();
    await on.mustApply({ gpus: whole(on), enforcement: policy(EnforcementMode.NOTIFY, 0) });
    await on.until(() => deeds(on).length > 0, 'the deed is reported');

    expect(deeds(on)).toEqual([`NOTIFIED ${pid}`]);
    expect(inLedger(on)).toHaveLength(1);
    expect(readProc(pid)?.state).not.toBe('Z');
    child.kill('SIGKILL');
    await on.until(() => condition(on, 'foreign-process') === undefined, 'the condition goes with the stranger');
  });

  it('is told to end and then killed where the policy ends it; a workload beside it is not touched', async () => {
    await using on = await startAgent();
    const id = on.scratch.allocation();
    const allocation = {
      id,
      workload: 'w',
      workspace: 's',
      devices: [{ gpuUuid: on.gpus[0] ?? '' }],
      intent: { case: 'run' as const, value: { command: ['sleep', '300'] } },
    };
    await on.mustApply({ gpus: whole(on), allocations: [allocation], enforcement: policy(EnforcementMode.TERMINATE, 1) });
    const own = await on.until(
      () => on.reports.processes?.processes.find((one) => one.allocation === id && one.name === 'sleep'),
      'the workload is on the GPU',
    );
    const polite = await stranger(on);
    const stubborn = await stranger(on, 'trap "" TERM; exec sleep 300');
    const ended = Promise.all([polite, stubborn].map(async ({ child }) => (await once(child, 'exit'))[1]));

    expect(await ended).toEqual(['SIGTERM', 'SIGKILL']);
    await on.until(() => deeds(on).length === 3, 'all deeds are reported');
    expect(deeds(on).toSorted()).toEqual([`KILLED ${stubborn.pid}`, `TERMINATED ${polite.pid}`, `TERMINATED ${stubborn.pid}`].toSorted());
    expect(inLedger(on)).toHaveLength(3);
    expect(readProc(own.pid)?.state).not.toBe('Z');
    expect(condition(on, 'outside-allocation')).toBeUndefined();
  });

  it('is left alone while the controller is silent, whatever the policy says', async () => {
    await using on = await startAgent({ ASTRAGO_CONTROLLER_SILENCE_MAX_MS: '1' });
    await on.mustApply({ gpus: whole(on), enforcement: policy(EnforcementMode.TERMINATE, 0) });
    const { pid } = await stranger(on);

    await on.until(() => deeds(on).length > 0, 'it is reported');
    expect(deeds(on)).toEqual([`HELD_BACK ${pid}`]);
    expect(on.reports.enforcement?.actions[0]?.detail).toContain('it was not ended: the controller has not been heard for too long');
    expect(readProc(pid)?.state).not.toBe('Z');
  });
});

describe.concurrent('a workload', () => {
  const run = (id: string, on: LoneAgent, script: string, environment: Readonly<Record<string, string>> = {}, limits = {}) => ({
    id,
    workload: 'w',
    workspace: 's',
    devices: [{ gpuUuid: on.gpus[0] ?? '', share: { case: 'timeSliced' as const, value: { milli: 100 } } }],
    intent: { case: 'run' as const, value: { command: ['sh', '-c', script], environment, limits } },
  });

  it('that holds more memory than its share is shown, and reported where the policy says so', async () => {
    await using on = await startAgent();
    const id = on.scratch.allocation();
    const allocations = [run(id, on, 'exec sleep 300', { FAKE_NVIDIA_SMI_MEMORY_MIB: '20000' })];
    await on.mustApply({ gpus: whole(on), allocations, enforcement: policy(EnforcementMode.NOTIFY, 0) });

    const text = await on.until(() => condition(on, 'memory-over-share'), 'it is a condition');
    expect(text).toContain(`of allocation ${id} uses memory beyond its allocation's share of`);
    await on.until(() => deeds(on).length > 0, 'it is reported');
    expect(on.reports.enforcement?.actions[0]).toMatchObject({ finding: 'memory-over-share', allocation: id, gpuUuid: on.gpus[0] });
    expect(on.reports.enforcement?.actions[0]?.detail).toContain('20000 MiB');
    expect(condition(on, 'foreign-process')).toBeUndefined();
  });

  it('has the limits of its order', async () => {
    await using on = await startAgent();
    const told = on.scratch.path('limits');
    const script = `cat /proc/self/limits > ${told}.new; mv ${told}.new ${told}; exec sleep 300`;
    await on.mustApply({ gpus: whole(on), allocations: [run(on.scratch.allocation(), on, script, {}, { openFiles: 77 })] });

    const limits = await on.until(() => existsSync(told) && readFileSync(told, 'utf8'), 'the workload tells its limits');
    expect(limits).toMatch(/^Max open files +77 +77 /m);
  });
});
