// The loops on a simulated machine with real processes.
import { spawn } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { readProc } from '../processes/proc.ts';
import { type BenchOptions, type NodeBench, startBench } from '../testing/node-bench.ts';
import { until } from '../testing/until.ts';

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

describe('an allocation', () => {
  it('sees exactly its devices, and nothing it set itself instead', async () => {
    await open({ gpuCount: 2 });
    const show = 'echo "$CUDA_VISIBLE_DEVICES $NVIDIA_VISIBLE_DEVICES $ASTRAGO_ALLOCATION_ID $ASTRAGO_WORKLOAD $ASTRAGO_WORKSPACE"';
    const sliced = bench.run(bench.id(), show, bench.on('1g.10gb@2'));
    const whole = bench.run(bench.id(), show, bench.on(undefined, 1));
    const none = bench.run(bench.id(), show);
    const cheeky = {
      ...none,
      id: bench.id(),
      intent: { ...none.intent, environment: { CUDA_VISIBLE_DEVICES: 'all', ASTRAGO_WORKLOAD: 'root' } },
    };

    await bench.order({ 0: '1g.10gb@2', 1: 'whole' }, [sliced, whole, none, cheeky]);
    for (const { id } of [sliced, whole, none, cheeky]) await bench.reaches(id, 'exited');

    const uuid = bench.state.gpu(bench.gpu())?.slices[0]?.migUuid;
    expect(bench.output(sliced.id)).toBe(`${uuid} ${uuid} ${sliced.id} work team\n`);
    expect(bench.output(whole.id)).toBe(`${bench.gpu(1)} ${bench.gpu(1)} ${whole.id} work team\n`);
    expect(bench.output(none.id)).toBe(` void ${none.id} work team\n`);
    expect(bench.output(cheeky.id)).toBe(` void ${cheeky.id} work team\n`);
  });

  it('that is stopped before it started never starts', async () => {
    await open();
    const early = bench.run(bench.id(), 'echo ran');

    await bench.order({}, [bench.cancel(early)]);
    expect(await bench.reaches(early.id, 'failed')).toMatchObject({ failure: 'never-started' });
    await bench.order({}, [early]);
    await bench.order({}, [early, bench.run(bench.id(), 'true')]);

    expect(bench.status(early.id)).toMatchObject({ failure: 'never-started' });
    expect(bench.output(early.id)).toBe('');
  });

  it('is told to end, given its grace, and killed with its whole tree', async () => {
    await open();
    const stubborn = bench.run(
      bench.id(),
      `trap "" TERM; (setsid sh -c 'trap "" TERM; echo $$; while :; do sleep 0.2; done') & while :; do sleep 0.2; done`,
    );
    await bench.order({}, [stubborn]);
    await until(() => /^\d+\n$/.test(bench.output(stubborn.id)), 'the child has said its pid');
    const child = Number(bench.output(stubborn.id));

    await bench.order({}, [bench.cancel(stubborn, 1)]);

    await bench.reaches(stubborn.id, 'stopping');
    expect(await bench.reaches(stubborn.id, 'exited')).toMatchObject({ exitCode: 137 });
    expect([undefined, 'Z']).toContain(readProc(child)?.state);
  });

  it('that is stopped the moment it runs is told so', async () => {
    await open();
    const brief = Array.from({ length: 20 }, () => bench.run(bench.id(), stay));
    await bench.order({}, brief);
    await Promise.all(brief.map(({ id }) => bench.reaches(id, 'running')));

    await bench.order(
      {},
      brief.map((one) => bench.cancel(one, 300)),
    );

    for (const { id } of brief) expect(await bench.reaches(id, 'exited')).toMatchObject({ exitCode: 143 });
  });

  it('that ends leaves no process on its slice', async () => {
    await open();
    const careless = bench.run(bench.id(), `(setsid sh -c 'echo $$; exec sleep 300') & sleep 0.2; exit 6`);

    await bench.order({}, [careless]);

    expect(await bench.reaches(careless.id, 'exited')).toMatchObject({ exitCode: 6 });
    expect([undefined, 'Z']).toContain(readProc(Number(bench.output(careless.id)))?.state);
  });

  it('that is not named any more is kept while it runs, with its slice, and forgotten when it has ended', async () => {
    await open();
    const user = bench.run(bench.id(), `while [ ! -e ${bench.scratch.path('go')} ]; do sleep 0.02; done`, bench.on('3g.40gb@0'));
    await bench.order({ 0: '3g.40gb@0' }, [user]);
    await bench.reaches(user.id, 'running');

    await bench.order({ 0: '1g.10gb@4' });
    await bench.becomes('3g.40gb@0 1g.10gb@4');
    expect(bench.status(user.id)).toMatchObject({ kind: 'running' });
    spawn('touch', [bench.scratch.path('go')]);

    await until(() => bench.status(user.id) === undefined, 'it is forgotten');
    await bench.becomes('1g.10gb@4');
  });

  it('fails with a clear text when it cannot be started', async () => {
    await open();
    const lost = bench.run(bench.id(), 'true');
    const nowhere = { ...lost, intent: { ...lost.intent, workingDirectory: '/no/such' } };

    await bench.order({}, [nowhere]);

    expect(await bench.reaches(lost.id, 'failed')).toMatchObject({
      failure: 'start-failed',
      detail: 'the working directory /no/such does not exist on this node',
    });
  });

  it('on a GPU that is not there fails alone', async () => {
    await open();
    const here = bench.run(bench.id(), 'true', bench.on('1g.10gb@0'));
    const gone = {
      ...bench.run(bench.id(), 'true'),
      devices: [{ gpu: 'GPU-00000000-0000-0000-0000-000000000000' as never, slice: undefined }],
    };

    await bench.order({ 0: '1g.10gb@0' }, [here, gone]);

    expect(await bench.reaches(gone.id, 'failed')).toMatchObject({ failure: 'device-lost' });
    expect(await bench.reaches(here.id, 'exited')).toMatchObject({ exitCode: 0 });
  });
});

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

describe('an nvidia-smi that hangs on one GPU', () => {
  it('keeps the other GPU and what needs none from nothing, and fails what waited too long', async () => {
    await open({ gpuCount: 2, limits: { mutateMs: 300, queryMs: 5000 }, deps: { prepareTimeoutMs: 4000 } });
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
      detail: expect.stringMatching(/not ready after 4 s: nvidia-smi does not answer/),
    });

    bench.spoil({});
    const after = bench.run(bench.id(), 'true', bench.on('3g.40gb@0', 0));
    await bench.order({ 0: '3g.40gb@0', 1: '3g.40gb@0' }, [after]);
    expect(await bench.reaches(after.id, 'exited')).toMatchObject({ exitCode: 0 });
    expect(bench.conditions(bench.gpu(0))).toEqual([]);
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
    const { readFileSync } = await import('node:fs');
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
    const { rebootMachine } = await import('@astrago/sim');
    rebootMachine(bench.machine);
    bench.bootId = 'boot-2';
    bench.said.length = 0;

    await bench.start();

    expect(await bench.reaches(user.id, 'failed')).toMatchObject({ failure: 'node-rebooted' });
    await bench.becomes('3g.40gb@0 1g.10gb@4');
    expect(bench.said).toEqual(['enable 0', 'create 0 3g.40gb@0', 'create 0 1g.10gb@4']);
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
