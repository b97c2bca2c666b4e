// Sharing on a simulated machine, with real processes and a control program of the test's own.
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Share } from '#core/order';
import { FakeMpsControl } from '../mps/testing/fake-mps-control.ts';
import { readEnvironmentValue, readProc } from '../processes/proc.ts';
import { type BenchOptions, type NodeBench, startBench } from '../testing/node-bench.ts';
import { until } from '../testing/until.ts';

// Real processes on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 180_000 });

let bench: NodeBench;
let fake: FakeMpsControl;
const open = async (options: BenchOptions = {}): Promise<NodeBench> => {
  bench = await startBench(options);
  // Beside nvidia-smi, where it is looked for.
  fake = new FakeMpsControl(bench.scratch.path('machine', 'bin'));
  return bench;
};
afterEach(async () => {
  await bench.stop();
  fake[Symbol.dispose]();
  await bench.scratch[Symbol.asyncDispose]();
});

const stay = 'exec sleep 300';
const mps = (milli: number, memoryMiB?: number): Share => ({ kind: 'mps', milli, memoryMiB });
const mode = (): string =>
  execFileSync(bench.scratch.path('machine', 'bin', 'nvidia-smi'), ['--query-gpu=compute_mode', '--format=csv,noheader'], {
    encoding: 'utf8',
  }).trim();
const steps = (): readonly string[] =>
  readFileSync(bench.scratch.path('data', 'ledger', 'steps.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { readonly step: string; readonly intent?: boolean; readonly result?: string })
    .flatMap(({ step, intent, result }) => (intent === true ? [] : [result === 'done' ? step : `${step}: ${result}`]));
const daemons = (): readonly string[] =>
  (bench.state.inventory.current?.mpsDaemons?.get(bench.gpu()) ?? []).map(({ state, clientPids }) => `${state} ${clientPids.length}`);
const pidOf = async (id: string): Promise<number> => {
  const members = await until(async () => {
    const all = await bench.launcher.membersOf(id);
    return all.length > 0 && all;
  }, 'it has a process');
  return members[0] ?? expect.unreachable();
};

describe('MPS on a GPU', () => {
  it('lets several in, each within its share, and leaves the GPU as it was', async () => {
    await open();
    const small = { ...bench.run(bench.id(), stay, bench.on(undefined, 0, mps(255))), workload: 'small' };
    const large = bench.run(bench.id(), stay, bench.on(undefined, 0, mps(500, 4000)));
    const cheeky = {
      ...small,
      intent: { ...small.intent, environment: { CUDA_MPS_ACTIVE_THREAD_PERCENTAGE: '100', CUDA_MPS_PIPE_DIRECTORY: '/' } },
    };
    await bench.order({ 0: 'whole' }, [cheeky, large]);
    for (const { id } of [small, large]) await bench.reaches(id, 'running');

    const [first, second] = [await pidOf(small.id), await pidOf(large.id)];
    const memoryMiB = bench.state.gpu(bench.gpu())?.memoryMiB ?? 0;
    expect(await readEnvironmentValue(first, 'CUDA_MPS_ACTIVE_THREAD_PERCENTAGE')).toBe('25');
    expect(await readEnvironmentValue(first, 'CUDA_MPS_PINNED_DEVICE_MEM_LIMIT')).toBe(`0=${Math.floor(memoryMiB * 0.255)}M`);
    expect(await readEnvironmentValue(second, 'CUDA_MPS_PINNED_DEVICE_MEM_LIMIT')).toBe('0=4000M');
    expect(await readEnvironmentValue(first, 'CUDA_MPS_PIPE_DIRECTORY')).toMatch(/\/mps\/[0-9a-f]{8}$/);
    expect(mode()).toBe('Exclusive_Process');
    await until(() => daemons().join() === 'ready 2', 'both are connected');
    expect(steps()).toEqual([
      'set compute mode exclusive-process on the GPU',
      'start MPS on the GPU',
      `limit MPS clients to 50 % and ${Math.floor(memoryMiB * 0.255)} MiB on the GPU`,
    ]);
    expect(bench.conditions(bench.gpu())).toEqual([]);

    await bench.order({ 0: 'whole' }, [bench.cancel(cheeky), bench.cancel(large)]);
    for (const { id } of [small, large]) expect(await bench.reaches(id, 'exited')).toMatchObject({ exitCode: 143 });
    await until(() => mode() === 'Default' && daemons().length === 0, 'all is as it was');
    expect([fake.processes('control'), fake.processes('server')]).toEqual([[], []]);
  });

  it('takes a client off before it is killed, and kills it all the same when that does not answer', async () => {
    await open({ deps: { partingMs: 1000 } });
    const trap = `trap '' TERM; sleep 300 & wait; wait`;
    const [one, other] = [1, 2].map(() => bench.run(bench.id(), trap, bench.on(undefined, 0, mps(400)))) as [
      ReturnType<NodeBench['run']>,
      ReturnType<NodeBench['run']>,
    ];
    await bench.order({ 0: 'whole' }, [one, other]);
    for (const { id } of [one, other]) await bench.reaches(id, 'running');
    await until(() => daemons().join() === 'ready 2', 'both are connected');

    await bench.order({ 0: 'whole' }, [bench.cancel(one, 0), other]);
    expect(await bench.reaches(one.id, 'exited')).toMatchObject({ exitCode: 137 });
    const terminated = steps().filter((step) => step.startsWith('terminate'));
    expect(terminated).toEqual([expect.stringMatching(new RegExp(`^terminate MPS clients \\d+ of ${one.id}$`))]);
    expect(fake.calls().filter((call) => call.startsWith('terminate_client'))).toHaveLength(1);
    expect(bench.status(other.id)).toMatchObject({ kind: 'running' });

    fake.spoil('hang-terminate_client');
    await bench.order({ 0: 'whole' }, [bench.cancel(other, 0)]);
    expect(await bench.reaches(other.id, 'exited')).toMatchObject({ exitCode: 137 });
    expect(fake.calls().filter((call) => call.startsWith('terminate_client'))).toHaveLength(2);
  });

  it('has its daemon started again when that died, and says so when it dies again and again', async () => {
    await open();
    const user = bench.run(bench.id(), stay, bench.on(undefined, 0, mps(400)));
    await bench.order({ 0: 'whole' }, [user]);
    await bench.reaches(user.id, 'running');
    const strike = (kind: 'control' | 'server'): void => {
      for (const pid of fake.processes(kind)) process.kill(pid, 'SIGKILL');
    };
    const started = (): number => steps().filter((step) => step.startsWith('limit MPS')).length;

    for (let death = 1; death <= 3; death += 1) {
      await until(() => started() === death && daemons().join() === 'ready 1', 'it is connected');
      strike('control');
      await until(() => daemons().join() !== 'ready 1', 'that is seen');
      // It may outlive its daemon, and then still has its clients and is waited for.
      strike('server');
    }
    await until(
      () => bench.conditions(bench.gpu()).join().startsWith('mps-failed: the GPU: the MPS control daemon has died 3 times'),
      'it is told',
    );
    expect(bench.status(user.id)).toMatchObject({ kind: 'running' });
  });

  it('that cannot be had fails who asked for it, in words that help', async () => {
    await open();
    fake.spoil('broken');
    const user = bench.run(bench.id(), stay, bench.on(undefined, 0, mps(400)));
    await bench.order({ 0: 'whole' }, [user]);

    expect(await bench.reaches(user.id, 'failed')).toMatchObject({
      failure: 'create-failed',
      detail: expect.stringContaining('MPS cannot be started here'),
    });
    await until(
      () => bench.conditions(bench.gpu()).join().startsWith('mps-failed: the GPU: failed: nvidia-cuda-mps-control -d'),
      'it is told',
    );
    await until(() => mode() === 'Default', 'the mode is as it was');

    fake.mend('broken');
    const next = bench.run(bench.id(), stay, bench.on(undefined, 0, mps(400)));
    await bench.order({ 0: 'whole' }, [user, next]);
    await bench.reaches(next.id, 'running');
    await until(() => bench.conditions(bench.gpu()).length === 0, 'it is well again');
  });
});

describe('MPS on a slice', () => {
  it('has a daemon of its own, outlives the agent, and is gone before the slice is', async () => {
    await open();
    const users = [400, 600].map((milli) => bench.run(bench.id(), stay, bench.on('3g.40gb@0', 0, mps(milli))));
    await bench.order({ 0: '3g.40gb@0 1g.10gb@4' }, users);
    for (const { id } of users) await bench.reaches(id, 'running');
    await until(() => daemons().join() === 'ready 2', 'both are connected');
    const migUuid = bench.state.gpu(bench.gpu())?.slices.find(({ start }) => start === 0)?.migUuid;
    expect(fake.calls()[0]).toBe(`${migUuid} -d`);
    expect(await readEnvironmentValue(await pidOf(users[0]?.id ?? ''), 'CUDA_MPS_PINNED_DEVICE_MEM_LIMIT')).toMatch(/^0=\d+M$/);
    const [daemon] = fake.processes('control');

    await bench.stop();
    await bench.start();
    await until(() => daemons().join() === 'ready 2', 'it is adopted');
    expect(fake.processes('control')).toEqual([daemon]);
    expect(fake.calls().filter((call) => call.endsWith('-d'))).toHaveLength(1);

    bench.said.length = 0;
    await bench.order(
      { 0: '7g.80gb@0' },
      users.map((user) => bench.cancel(user)),
    );
    await bench.becomes('7g.80gb@0');
    expect(fake.processes('control')).toEqual([]);
    expect(mode()).toBe('Default');
    const taken = steps();
    expect(taken.indexOf('stop MPS on 3g.40gb@0')).toBeGreaterThan(0);
    expect(taken.indexOf('stop MPS on 3g.40gb@0')).toBeLessThan(taken.indexOf('destroy 3g.40gb@0'));
    expect(bench.conditions(bench.gpu())).toEqual([]);
  });

  it('that nobody wants any more when the agent comes back is taken away', async () => {
    await open();
    const user = bench.run(bench.id(), stay, bench.on('3g.40gb@0', 0, mps(400)));
    await bench.order({ 0: '3g.40gb@0' }, [user]);
    await until(() => daemons().join() === 'ready 1', 'it is connected');
    await bench.stop();
    process.kill(await pidOf(user.id), 'SIGKILL');
    await until(async () => (await bench.launcher.membersOf(user.id)).length === 0, 'it has ended');

    await bench.start();

    await bench.reaches(user.id, 'exited');
    await until(() => fake.processes('control').length === 0 && daemons().length === 0, 'the daemon is gone');
  });
});

describe('a GPU in turns', () => {
  it('is held by several at once, which nothing keeps apart, and needs no daemon', async () => {
    await open();
    const users = [500, 500].map((milli) => bench.run(bench.id(), stay, bench.on(undefined, 0, { kind: 'time-sliced', milli })));
    await bench.order({ 0: 'whole' }, users);

    for (const { id } of users) await bench.reaches(id, 'running');
    expect(bench.state.allocations.current?.map(({ enforcement }) => enforcement)).toEqual(['advisory', 'advisory']);
    expect(await readEnvironmentValue(await pidOf(users[0]?.id ?? ''), 'CUDA_MPS_PIPE_DIRECTORY')).toBeUndefined();
    expect(fake.calls()).toEqual([]);
  });
});

describe('an exclusive process', () => {
  it('has the GPU in its compute mode, which ends with it, before anybody else gets in', async () => {
    await open();
    const user = bench.run(bench.id(), stay, bench.on(undefined, 0, { kind: 'exclusive-process' }));
    await bench.order({ 0: 'whole' }, [user]);
    await bench.reaches(user.id, 'running');
    expect(mode()).toBe('Exclusive_Process');
    await bench.stop();
    await bench.start();
    const next = bench.run(
      bench.id(),
      `${bench.scratch.path('machine', 'bin', 'nvidia-smi')} --query-gpu=compute_mode --format=csv,noheader`,
      bench.on(undefined),
    );

    await bench.order({ 0: 'whole' }, [bench.cancel(user)]);
    await bench.reaches(user.id, 'exited');
    await bench.order({ 0: 'whole' }, [next]);

    expect(await bench.reaches(next.id, 'exited')).toMatchObject({ exitCode: 0 });
    expect(bench.output(next.id)).toBe('Default\n');
    expect(mode()).toBe('Default');
  });

  it('waits for a stranger, fails with its name, and changes nothing under it', async () => {
    await open();
    const stranger = spawn('sleep', ['300'], { env: { PATH: process.env['PATH'], CUDA_VISIBLE_DEVICES: bench.gpu() } });
    const user = bench.run(bench.id(), stay, bench.on(undefined, 0, { kind: 'exclusive-process' }));
    await bench.order({ 0: 'whole' }, [user]);

    expect(await bench.reaches(user.id, 'failed')).toMatchObject({
      failure: 'gpu-in-use',
      detail: expect.stringContaining(`process ${stranger.pid} (`),
    });
    expect([mode(), steps(), readProc(stranger.pid ?? 0) !== undefined]).toEqual(['Default', [], true]);
    stranger.kill('SIGKILL');

    const next = bench.run(bench.id(), stay, bench.on(undefined, 0, { kind: 'exclusive-process' }));
    await bench.order({ 0: 'whole' }, [next]);
    await bench.reaches(next.id, 'running');
  });
});
