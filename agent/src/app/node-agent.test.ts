// The loops on a simulated machine with real processes.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { rebootMachine } from '@astrago/sim';
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

const stay = 'exec sleep 300';

describe('an ordered layout', () => {
  it('is cut, recut around what is used, and taken away', async () => {
    await open();
    await bench.order({ 0: '3g.40gb@0 1g.10gb@4 1g.10gb@5' });
    await bench.becomes('3g.40gb@0 1g.10gb@4 1g.10gb@5');
    const user = bench.run(bench.id(), stay, bench.on('3g.40gb@0'));
    await bench.order({ 0: '3g.40gb@0 1g.10gb@4 1g.10gb@5' }, [user]);
    await bench.reaches(user.id, 'running');
    const before = bench.state.gpu(bench.gpu())?.slices.find((slice) => slice.start === 0);
    bench.said.length = 0;

    await bench.order({ 0: '3g.40gb@0 3g.40gb@4' }, [user]);
    await bench.becomes('3g.40gb@0 3g.40gb@4');

    expect(bench.said).toEqual(['destroy 0 1g.10gb@4', 'destroy 0 1g.10gb@5', 'create 0 3g.40gb@4']);
    expect(bench.state.gpu(bench.gpu())?.slices.find((slice) => slice.start === 0)).toEqual(before);
    expect(bench.status(user.id)?.kind).toBe('running');

    await bench.order({ 0: 'whole' }, [bench.cancel(user)]);
    await bench.becomes('whole');
    expect(bench.status(user.id)).toMatchObject({ kind: 'exited', exitCode: 143 });
  });

  it('is not made while a running allocation is in the way, and made as soon as it is not', async () => {
    await open();
    const user = bench.run(bench.id(), stay, bench.on('3g.40gb@0'));
    await bench.order({ 0: '3g.40gb@0' }, [user]);
    await bench.reaches(user.id, 'running');

    await bench.order({ 0: '7g.80gb@0' }, [bench.cancel(user, 300)]);
    await bench.becomes('7g.80gb@0');

    expect(bench.status(user.id)).toMatchObject({ kind: 'exited' });
    expect(bench.said.filter((line) => line.startsWith('destroy'))).toEqual(['destroy 0 3g.40gb@0']);
  });

  it('touches no GPU that is not named', async () => {
    await open({ gpuCount: 2 });
    await bench.order({ 1: '3g.40gb@0' });
    await bench.becomes('3g.40gb@0', 1);

    await bench.order({ 0: '1g.10gb@0' });
    await bench.becomes('1g.10gb@0', 0);

    expect(bench.live(1)).toBe('3g.40gb@0');
    expect(bench.said.filter((line) => line.includes('destroy'))).toEqual([]);
  });

  it('is corrected when somebody changed it by hand', async () => {
    await open();
    await bench.order({ 0: '1g.10gb@0' });
    await bench.becomes('1g.10gb@0');

    const byHand = spawn(bench.scratch.path('machine', 'bin', 'nvidia-smi'), ['mig', '-i', '0', '-cgi', '19:3', '-C']);
    await new Promise((resolve) => byHand.on('exit', resolve));

    await until(() => bench.said.includes('destroy 0 1g.10gb@3'), 'the stranger is taken away');
    await bench.becomes('1g.10gb@0');
  });
});

describe('a slice used by a process that no allocation explains', () => {
  it('is never destroyed; what waits behind it fails with its name, and starts once it is gone', async () => {
    await open();
    await bench.order({ 0: '3g.40gb@0' });
    await bench.becomes('3g.40gb@0');
    const migUuid = bench.state.gpu(bench.gpu())?.slices[0]?.migUuid ?? '';
    const stranger = spawn('sleep', ['300'], { env: { PATH: process.env['PATH'], CUDA_VISIBLE_DEVICES: migUuid } });
    const waiting = bench.run(bench.id(), 'true', bench.on('7g.80gb@0'));

    await bench.order({ 0: '7g.80gb@0' }, [waiting]);

    expect(await bench.reaches(waiting.id, 'failed')).toMatchObject({
      failure: 'gpu-in-use',
      detail: expect.stringContaining(`process ${stranger.pid} (`),
    });
    expect(bench.conditions(bench.gpu())).toEqual([expect.stringMatching(/^gpu-in-use: 3g.40gb@0 is used by process \d+ \(.*sleep\)/)]);
    expect(bench.said.filter((line) => line.startsWith('destroy'))).toEqual([]);

    stranger.kill('SIGKILL');
    const next = bench.run(bench.id(), 'true', bench.on('7g.80gb@0'));
    await bench.order({ 0: '7g.80gb@0' }, [next]);
    expect(await bench.reaches(next.id, 'exited')).toMatchObject({ exitCode: 0 });
    expect(bench.conditions(bench.gpu())).toEqual([]);
  });
});

describe('an nvidia-smi that hangs on one GPU', () => {
  it('keeps the other GPU and what needs none from nothing, and fails what waited too long', async () => {
    await open({ gpuCount: 2, limits: { mutateMs: 1500, queryMs: 20_000 }, deps: { prepareTimeoutMs: 12_000 } });
    bench.spoil({ rules: [{ match: { args: '-cgi', gpu: bench.gpu(0) }, action: { hang: true } }] });
    const stuck = bench.run(bench.id(), 'true', bench.on('3g.40gb@0', 0));
    const fine = bench.run(bench.id(), 'true', bench.on('3g.40gb@0', 1));
    const bare = bench.run(bench.id(), 'true');

    await bench.order({ 0: '3g.40gb@0', 1: '3g.40gb@0' }, [stuck, fine, bare]);

    expect(await bench.reaches(bare.id, 'exited')).toMatchObject({ exitCode: 0 });
    expect(await bench.reaches(fine.id, 'exited')).toMatchObject({ exitCode: 0 });
    expect(bench.status(stuck.id)).toEqual({ kind: 'preparing' });
    await until(() => bench.conditions(bench.gpu(0)).some((text) => text.startsWith('driver-hung')), 'the hang is told');
    expect(await bench.reaches(stuck.id, 'failed')).toMatchObject({
      failure: 'create-failed',
      detail: expect.stringMatching(/not ready after 12 s: nvidia-smi does not answer/),
    });

    bench.spoil({});
    const after = bench.run(bench.id(), 'true', bench.on('3g.40gb@0', 0));
    await bench.order({ 0: '3g.40gb@0', 1: '3g.40gb@0' }, [after]);
    expect(await bench.reaches(after.id, 'exited')).toMatchObject({ exitCode: 0 });
    expect(bench.conditions(bench.gpu(0))).toEqual([]);
  });
});

describe('an agent that is restarted', () => {
  it('adopts what runs, keeps what failed, and starts nothing twice', async () => {
    await open();
    const mark = bench.scratch.path('mark');
    const user = bench.run(bench.id(), `echo ran >> ${mark}; ${stay}`, bench.on('3g.40gb@0'));
    const ended = bench.run(bench.id(), `echo ended >> ${mark}; exit 3`);
    const never = bench.run(bench.id(), 'true');
    await bench.order({ 0: '3g.40gb@0' }, [user, ended, bench.cancel(never)]);
    await bench.reaches(user.id, 'running');
    await bench.reaches(ended.id, 'exited');
    await bench.reaches(never.id, 'failed');

    await bench.stop();
    await bench.start();

    expect(await bench.reaches(user.id, 'running')).toBeDefined();
    expect(await bench.reaches(ended.id, 'exited')).toMatchObject({ exitCode: 3 });
    expect(await bench.reaches(never.id, 'failed')).toMatchObject({ failure: 'never-started' });
    await bench.order({ 0: '3g.40gb@0' }, [bench.cancel(user), ended, bench.cancel(never)]);
    expect(await bench.reaches(user.id, 'exited')).toMatchObject({ exitCode: 143 });
    expect(bench.output(user.id)).toBe('');
    expect(readFileSync(mark, 'utf8').split('\n').sort()).toEqual(['', 'ended', 'ran']);
  });
});

describe('a node that was rebooted', () => {
  it('has its layout again without being told, and calls what ran lost', async () => {
    await open();
    const user = bench.run(bench.id(), stay, bench.on('3g.40gb@0'));
    await bench.order({ 0: '3g.40gb@0 1g.10gb@4' }, [user]);
    await bench.reaches(user.id, 'running');
    await bench.becomes('3g.40gb@0 1g.10gb@4');
    await bench.stop();
    rebootMachine(bench.machine);
    bench.bootId = 'boot-2';
    bench.said.length = 0;

    await bench.start();

    expect(await bench.reaches(user.id, 'failed')).toMatchObject({ failure: 'node-rebooted' });
    await bench.becomes('3g.40gb@0 1g.10gb@4');
    expect(bench.said).toEqual(['enable 0', 'create 0 3g.40gb@0', 'create 0 1g.10gb@4']);
  });
});
