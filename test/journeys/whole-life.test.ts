import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startWorld, until, type World } from '../world/index.ts';

/** `Z` is dead and waits for whoever inherited it to notice. */
function stateOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .slice(0, 1);
  } catch {
    return 'gone';
  }
}

describe('a workload on a slice', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ nodes: 1, gpus: 1 });
  }, 90_000);
  afterAll(() => world?.[Symbol.asyncDispose]());

  const submit = (name: string, script: string, more: object = { slice: '1g.10gb' }) =>
    world.client.submitWorkload({ body: { name, command: ['sh', '-c', script], ...more } });

  it('is cut, runs with exactly its device visible, streams its output, keeps its exit code, and frees the slice', async () => {
    await submit('train-a', 'echo "$CUDA_VISIBLE_DEVICES $NVIDIA_VISIBLE_DEVICES"; echo to stderr >&2; exit 7', { slice: '3g.40gb' });

    const ended = await world.reaches('train-a', 'failed');
    expect(ended).toMatchObject({ exitCode: 7, reason: 'command-failed', node: 'sim-1', enforcement: 'hardware' });
    expect(ended.devices[0]?.slice).toMatchObject({ profile: '3g.40gb' });
    const [first, second] = (await world.output('train-a')).trim().split('\n');
    const { items } = await world.client.listGpus();
    const cut = items[0]?.slices.find((slice) => slice.profile === '3g.40gb');
    expect(first).toBe(`${cut?.migUuid} ${cut?.migUuid}`);
    expect(second).toBe('to stderr');
    expect(cut?.workload).toBeUndefined();
    expect(items[0]?.allocatedUnits).toEqual({ compute: 0, memory: 0 });
  });

  it('sees only its own slice in nvidia-smi, as a process of its own allocation', async () => {
    await submit('holder', 'sleep 300');
    await world.reaches('holder', 'running');

    await world.client.stopWorkload({ params: { workload: 'holder' } });

    expect(await world.reaches('holder', 'cancelled')).toMatchObject({ reason: 'stopped-by-user' });
  });

  it('is cancelled in the queue when nothing was placed', async () => {
    await submit('too-large', 'true', { gpus: 8 });
    await until(async () => (await world.workload('too-large')).reason !== 'PendingEvaluation', 'it was looked at');
    expect(await world.workload('too-large')).toMatchObject({ phase: 'queued', reason: 'TooFewGpusOnNode' });

    await world.client.stopWorkload({ params: { workload: 'too-large' } });

    expect(await world.workload('too-large')).toMatchObject({ phase: 'cancelled', reason: 'cancelled-in-queue' });
  });

  it('says when the command cannot be started', async () => {
    await world.client.submitWorkload({ body: { name: 'no-program', command: ['/no/such/program'], slice: '1g.10gb' } });
    expect(await world.reaches('no-program', 'failed')).toMatchObject({ exitCode: 127, reason: 'command-failed' });

    await submit('no-directory', 'true', { slice: '1g.10gb', workingDirectory: '/no/such/directory' });
    expect(await world.reaches('no-directory', 'failed')).toMatchObject({ reason: 'start-failed' });
  });

  it('gets a whole GPU, after which slices can be cut again', async () => {
    await submit('whole', 'echo $CUDA_VISIBLE_DEVICES', { gpus: 1 });
    await world.reaches('whole', 'succeeded');
    expect(await world.output('whole')).toMatch(/^GPU-[0-9a-f-]{36}\n$/);

    await submit('after', 'echo $CUDA_VISIBLE_DEVICES', { slice: '2g.20gb' });
    await world.reaches('after', 'succeeded');
    expect(await world.output('after')).toMatch(/^MIG-[0-9a-f-]{36}\n$/);
  });

  it('runs without a GPU and sees none', async () => {
    await submit('cpu-only', 'echo "[$CUDA_VISIBLE_DEVICES][$NVIDIA_VISIBLE_DEVICES]"', {});
    await world.reaches('cpu-only', 'succeeded');
    expect(await world.output('cpu-only')).toBe('[][void]\n');
  });

  it('ends its whole process tree when stopped, however stubborn', async () => {
    await submit(
      'stubborn',
      'trap "" TERM; (setsid sh -c \'trap "" TERM; echo child $$; while :; do sleep 1; done\') & echo parent; while :; do sleep 1; done',
      { slice: '1g.10gb', graceSeconds: 1 },
    );
    await world.reaches('stubborn', 'running');
    const pid = await until(async () => /child (\d+)/.exec(await world.output('stubborn'))?.[1], 'the child has said its pid');

    await world.client.stopWorkload({ params: { workload: 'stubborn' } });

    expect(await world.reaches('stubborn', 'cancelled')).toMatchObject({ reason: 'stopped-by-user' });
    expect(stateOf(Number(pid))).toMatch(/^(gone|Z)$/);
  });
});

describe('ten workloads for one H100', () => {
  it('runs seven, lets three wait with a reason, and starts the next when one is stopped', async () => {
    await using world = await startWorld({ nodes: 1, gpus: 1 });
    const names = Array.from({ length: 10 }, (_, index) => `job-${index}`);
    for (const name of names) await world.client.submitWorkload({ body: { name, command: ['sleep', '300'], slice: '1g.10gb' } });

    const running = async () => (await world.client.listWorkloads({ query: { phase: 'running' } })).items.map((one) => one.name).sort();
    await until(async () => (await running()).length === 7, 'seven run').catch((cause: unknown) => {
      throw new Error(world.logs(), { cause });
    });
    expect(await running()).toEqual(names.slice(0, 7));
    const why = await world.client.whyWorkload({ params: { workload: 'job-8' } });
    expect(why.reason).toBe('WaitingForSlots');
    // The one before it takes what becomes free first.
    expect(why.sentence).toContain('1 workload before it in the queue goes first. It fits if job-');
    const next = await world.client.whyWorkload({ params: { workload: 'job-7' } });
    expect(next.sentence).toContain('It fits if any one of job-0, job-1');

    await world.client.stopWorkload({ params: { workload: 'job-3' } });

    await world.reaches('job-7', 'running');
    expect((await world.client.auditInvariants()).findings).toEqual([]);
  }, 120_000);
});
