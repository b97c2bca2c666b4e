// The loops on a simulated machine with real processes.
import { spawn } from 'node:child_process';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type BenchOptions, type NodeBench, startBench } from '../testing/node-bench.ts';
import { until } from '../testing/until.ts';

// Real processes on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 180_000 });

let bench: NodeBench;
const open = async (options?: BenchOptions): Promise<NodeBench> => {
  bench = await startBench(options);
  return bench;
};
afterEach(() => bench[Symbol.asyncDispose]());

describe('a create that fails', () => {
  const refusal =
    'Unable to create a GPU instance on GPU  0 using profile 9: Insufficient Resources\nFailed to create GPU instances: Insufficient Resources\n';

  it('once is tried again', async () => {
    await open();
    bench.spoil({ rules: [{ match: { args: '-cgi' }, times: 1, action: { stdout: refusal, exitCode: 19 } }] });
    const lucky = bench.run(bench.id(), 'true', bench.on('3g.40gb@0'));

    await bench.order({ 0: '3g.40gb@0' }, [lucky]);

    expect(await bench.reaches(lucky.id, 'exited')).toMatchObject({ exitCode: 0 });
    expect(bench.conditions(bench.gpu())).toEqual([]);
  });

  it('again and again fails what waited for it, in the words of the driver, and not what comes later', async () => {
    await open();
    bench.spoil({ rules: [{ match: { args: '/-cgi 9/' }, action: { stdout: refusal, exitCode: 19 } }] });
    const unlucky = bench.run(bench.id(), 'true', bench.on('3g.40gb@0'));
    const other = bench.run(bench.id(), 'true', bench.on('1g.10gb@4'));

    await bench.order({ 0: '3g.40gb@0 1g.10gb@4' }, [unlucky, other]);

    expect(await bench.reaches(unlucky.id, 'failed')).toMatchObject({
      failure: 'create-failed',
      detail: 'Unable to create a GPU instance on GPU  0 using profile 9: Insufficient Resources',
    });
    expect(await bench.reaches(other.id, 'exited')).toMatchObject({ exitCode: 0 });
    expect(bench.conditions(bench.gpu())).toEqual([expect.stringMatching(/^layout-failed: Unable to create/)]);
    expect(bench.said.filter((line) => line.startsWith('create 0 3g'))).toHaveLength(2);

    bench.spoil({});
    const later = bench.run(bench.id(), 'true', bench.on('3g.40gb@0'));
    await bench.order({ 0: '3g.40gb@0 1g.10gb@4' }, [unlucky, later]);
    expect(await bench.reaches(later.id, 'exited')).toMatchObject({ exitCode: 0 });
    expect(bench.status(unlucky.id)).toMatchObject({ kind: 'failed' });
    expect(bench.conditions(bench.gpu())).toEqual([]);
  });

  it('half way is completed', async () => {
    await open();
    bench.spoil({ rules: [{ match: { args: '-cgi' }, times: 1, action: { dieAfterSteps: 1 } }] });
    const half = bench.run(bench.id(), 'true', bench.on('3g.40gb@0'));

    await bench.order({ 0: '3g.40gb@0' }, [half]);

    expect(await bench.reaches(half.id, 'exited')).toMatchObject({ exitCode: 0 });
  });
});

describe('a driver that is down', () => {
  it('is a finding, starts nothing on GPUs, and is forgiven when it is back', async () => {
    await open();
    await until(() => bench.live() === 'whole', 'the GPU is seen');
    bench.spoil({ driverDown: true });
    await until(() => bench.conditions('node').some((text) => text.startsWith('driver-unavailable')), 'it is told');
    const waiting = bench.run(bench.id(), 'true', bench.on('1g.10gb@0'));
    await bench.order({ 0: '1g.10gb@0' }, [waiting]);

    bench.spoil({});

    expect(await bench.reaches(waiting.id, 'exited')).toMatchObject({ exitCode: 0 });
    expect(bench.conditions('node')).toEqual([]);
  });
});

describe('a GPU that fell off the bus', () => {
  it('keeps its place in the inventory with a condition, and the other one works', async () => {
    await open({ gpuCount: 2 });
    await until(() => bench.live(1) === 'whole', 'the GPUs are seen');
    bench.spoil({ gpuLost: bench.gpu(0) });
    await until(() => bench.conditions(bench.gpu(0)).some((text) => text.startsWith('gpu-lost')), 'it is told');
    const lost = bench.run(bench.id(), 'true', bench.on(undefined, 0));
    const fine = bench.run(bench.id(), 'true', bench.on('1g.10gb@0', 1));

    await bench.order({ 0: 'whole', 1: '1g.10gb@0' }, [lost, fine]);

    expect(await bench.reaches(fine.id, 'exited')).toMatchObject({ exitCode: 0 });
    expect(await bench.reaches(lost.id, 'failed')).toMatchObject({ failure: 'device-lost' });
    expect(bench.state.inventory.current?.gpus).toHaveLength(2);
  });
});

describe('an Ampere GPU', () => {
  it('is switched by a reset where the mode is pending', async () => {
    await open({ model: 'a100-80gb' });
    const user = bench.run(bench.id(), 'true', bench.on('3g.40gb@0'));

    await bench.order({ 0: '3g.40gb@0' }, [user]);

    expect(await bench.reaches(user.id, 'exited')).toMatchObject({ exitCode: 0 });
  });

  it('waits with a condition while a process holds it', async () => {
    await open({ model: 'a100-80gb' });
    const stranger = spawn('sleep', ['300'], { env: { PATH: process.env['PATH'], CUDA_VISIBLE_DEVICES: bench.gpu() } });
    const user = bench.run(bench.id(), 'true', bench.on('3g.40gb@0'));

    await bench.order({ 0: '3g.40gb@0' }, [user]);

    expect(await bench.reaches(user.id, 'failed')).toMatchObject({
      failure: 'gpu-in-use',
      detail: expect.stringContaining(`process ${stranger.pid}`),
    });
    expect(bench.said).toEqual([]);
    stranger.kill('SIGKILL');
    await bench.becomes('3g.40gb@0');
  });
});

describe('a driver that reports success and does nothing', () => {
  it('is not believed, and not asked again and again', async () => {
    await open();
    await bench.order({ 0: '3g.40gb@0' });
    await bench.becomes('3g.40gb@0');
    bench.spoil({
      rules: [{ match: { args: '-dgi' }, action: { stdout: 'Successfully destroyed GPU instance ID  2 from GPU  0\n', exitCode: 0 } }],
    });
    const behind = bench.run(bench.id(), 'true', bench.on('7g.80gb@0'));
    const beside = bench.run(bench.id(), 'true', bench.on('1g.10gb@4'));

    await bench.order({ 0: '7g.80gb@0' }, [behind]);
    expect(await bench.reaches(behind.id, 'failed')).toMatchObject({
      failure: 'create-failed',
      detail: expect.stringContaining('lists nothing of it'),
    });
    expect(bench.said.filter((line) => line === 'destroy 0 3g.40gb@0')).toHaveLength(2);

    await bench.order({ 0: '1g.10gb@4' }, [beside]);
    expect(await bench.reaches(beside.id, 'exited')).toMatchObject({ exitCode: 0 });
  });
});
