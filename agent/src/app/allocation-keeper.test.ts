// The loops on a simulated machine with real processes.
import { spawn } from 'node:child_process';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { readProc } from '../processes/proc.ts';
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
