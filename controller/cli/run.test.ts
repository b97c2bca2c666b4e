import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ProblemCode, problemCodes, type Workload } from '@astrago/api';
import { describe, expect, it } from 'vitest';
import { createProgram } from './program.ts';
import { against, workload } from './testing/against.ts';
import { type Handlers, Refusal } from './testing/api-server.ts';
import { capturedRun } from './testing/captured-run.ts';

describe('astrago', () => {
  it('has this help', async () => {
    const pages = [createProgram(() => Promise.resolve())].flatMap((program) => [
      program,
      ...program.commands,
      ...program.commands.flatMap((command) => command.commands),
    ]);
    const text = pages
      .map((page) => page.configureHelp({ ...page.configureHelp(), helpWidth: 120, showGlobalOptions: false }).helpInformation())
      .join('\n----\n');
    await expect(text).toMatchFileSnapshot('./testing/help.golden.txt');
  });

  it('has documented exit codes', async () => {
    const { out, exitCode } = await capturedRun(['help', 'exit-codes']);
    expect(exitCode).toBe(0);
    for (const code of [0, 1, 2, 3, 4, 5, 6, 7, 124, 130]) expect(out).toMatch(new RegExp(`^ +${code} `, 'm'));
  });

  it.each([
    [[], 'There is no command. See astrago help'],
    [['frob'], "Unknown command 'frob'. See astrago help."],
    [['ps', '--frob'], "Unknown option '--frob'. See astrago ps --help."],
    [['submit'], "Missing required argument 'name'. See astrago submit --help."],
    [['submit', 'a', '--memory', '12', '--', 'x'], 'Give a size with its unit'],
    [['submit', 'a', '--slice', '1g.10gb'], 'There is no command to run. Put it after --'],
    [['partition', 'x', '--layout', 'whole'], 'does not name a GPU'],
    [['partition', 'n/0'], 'A layout or --automatic is needed'],
    [['workspace', 'set', 'a', '--unlimited', '--limit', '7'], 'A limit and --unlimited contradict each other'],
    [['nodes', '--url', 'nowhere'], 'is not the URL of a controller'],
  ])('refuses %j as a usage error', async (argv, says) => {
    const { exitCode, err, out } = await capturedRun(argv);
    expect(err).toContain(says);
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: '' });
  });

  it('says where it looked when there is no cluster, as a problem under --json', async () => {
    const text = await capturedRun(['--data', '/nonexistent', 'ps']);
    expect(text).toMatchObject({ exitCode: 3, err: expect.stringContaining('No cluster runs in /nonexistent.') as string });
    const json = await capturedRun(['ps', '--json', '--data', '/nonexistent']);
    expect(JSON.parse(json.err)).toMatchObject({ type: 'urn:astrago:problem:no-cluster', exitCode: 3 });
  });

  const expected: Record<ProblemCode, number> = {
    'invalid-request': 2,
    unauthenticated: 6,
    forbidden: 6,
    'not-found': 4,
    'name-taken': 5,
    'already-ended': 5,
    'stale-proposal': 5,
    'layout-blocked': 5,
    'idempotency-conflict': 5,
    'impossible-layout': 5,
    'impossible-workspace': 5,
    'impossible-reservation': 5,
    'reservation-conflict': 5,
    'too-many-requests': 1,
    internal: 1,
    'agent-unreachable': 1,
    unavailable: 1,
  };
  it.each(Object.keys(problemCodes).filter((code) => code !== 'too-many-requests') as ProblemCode[])(
    'maps the problem %s to its exit code',
    async (code) => {
      const { exitCode, err } = await against(
        { cordonNode: () => Promise.reject(new Refusal(code, 'It is so', { blockers: ['train-a'] })) },
        ['cordon', 'sim-1'],
      );
      expect(exitCode).toBe(expected[code]);
      expect(err).toContain(code === 'unauthenticated' ? 'does not accept the token' : 'astrago: It is so. In the way: train-a.');
    },
  );
});

describe('submit', () => {
  it('sends what was asked, and nothing that was not', async () => {
    let sent: unknown;
    const argv = [
      'submit',
      'train-a',
      '--slice',
      '3g.40gb',
      '--cpus',
      '2',
      '--memory',
      '16Gi',
      '--env',
      'A=1',
      '--env',
      'B=2',
      '--',
      'sh',
      '-c',
      'echo --json',
    ];
    const handlers: Handlers = {
      submitWorkload: ({ body }) => {
        sent = body;
        return workload({});
      },
    };
    const { exitCode, out } = await against(handlers, argv);
    expect({ exitCode, out }).toEqual({ exitCode: 0, out: 'train-a queued\n' });
    expect(sent).toEqual({
      name: 'train-a',
      command: ['sh', '-c', 'echo --json'],
      slice: '3g.40gb',
      cpuMilli: 2000,
      memoryMiB: 16_384,
      environment: { A: '1', B: '2' },
    });
  });

  it.each([
    [workload({ phase: 'succeeded', exitCode: 0, endedAtMs: 2 }), 0],
    [workload({ phase: 'failed', exitCode: 42, endedAtMs: 2, reason: 'command-failed' }), 42],
    [workload({ phase: 'cancelled', endedAtMs: 2, reason: 'cancelled-in-queue' }), 7],
    [workload({ phase: 'cancelled', exitCode: 0, endedAtMs: 2, reason: 'stopped-by-user' }), 7],
  ])('--wait ends as the workload did (%#)', async (end, code) => {
    const { exitCode, out, err } = await against({ submitWorkload: () => workload({}), getWorkload: () => end }, [
      'submit',
      'train-a',
      '--wait',
      '--',
      'x',
    ]);
    expect(exitCode).toBe(code);
    expect(err).toBe('train-a queued\n');
    expect(out).toContain(`train-a ${end.phase}`);
  });

  it('--wait leaves the workload alone on Ctrl-C and on its time limit, and says so', async () => {
    const interrupt = new AbortController();
    const handlers = { submitWorkload: () => workload({}), getWorkload: () => workload({ phase: 'running' }) };
    const interrupting = {
      ...handlers,
      getWorkload: () => {
        interrupt.abort();
        return workload({ phase: 'running' });
      },
    };

    const stopped = await against(interrupting, ['submit', 'train-a', '--wait', '--', 'x'], interrupt.signal);
    const late = await against(handlers, ['submit', 'train-a', '--wait', '--timeout', '1', '--', 'x']);

    expect(stopped).toMatchObject({ exitCode: 130, err: expect.stringContaining('Stopped waiting. train-a goes on (running)') as string });
    expect(late).toMatchObject({ exitCode: 124, err: expect.stringContaining('train-a goes on') as string });
  });
});

describe('what is shown', () => {
  it('why: the sentence, the counts, the remedies', async () => {
    const why = {
      workload: 'train-b',
      phase: 'queued',
      sentence: 'train-b waits: all that could hold it is in use.',
      reason: 'WaitingForSlots',
      counts: [{ reason: 'WaitingForSlots', count: 4, text: 'all that could hold it is in use' }],
      remedies: [
        { kind: 'uncordon', nodes: ['n4'], gpus: 8, text: 'fits if node n4 is uncordoned (8 GPUs)' },
        { kind: 'stop', workloads: ['train-a'], any: false, text: 'fits if train-a is stopped' },
      ],
    };
    const { out } = await against({ whyWorkload: () => why }, ['why', 'train-b']);
    expect(out).toBe(
      'train-b waits: all that could hold it is in use.\n\nCOUNT  REASON           WHICH MEANS\n4      WaitingForSlots  all that could hold it is in use\n\nWhat would help:\n  - fits if node n4 is uncordoned (8 GPUs): astrago uncordon n4\n  - fits if train-a is stopped\n',
    );
  });

  it('why --trace: who could take it and why the others do not', async () => {
    const why = {
      ...{ workload: 'train-b', phase: 'queued', sentence: 'train-b waits.', reason: 'WaitingForSlots', counts: [] },
      remedies: [{ kind: 'wait-ends', workloads: ['train-a'], atMs: 0, text: 'will fit when train-a ends, in about 5 min (00:00 UTC)' }],
      trace: {
        candidates: [{ node: 'n1', model: 'NVIDIA H100', tier: 0, score: -12, devices: ['0 3g.40gb@4'], layouts: ['0 3g.40gb@4'] }],
        rejected: [{ node: 'n2', reason: 'NodeCordoned', counts: [{ reason: 'NodeCordoned', count: 8 }] }],
        candidateNodes: 1,
        rejectedNodes: 1,
      },
    };
    let asked: string | null = null;
    const handlers: Handlers = {
      whyWorkload: ({ query }) => {
        asked = query.get('trace');
        return why;
      },
    };
    const { out } = await against(handlers, ['why', 'train-b', '--trace']);
    expect(asked).toBe('true');
    // In the reader's own time zone.
    expect(out).toMatch(/will fit when train-a ends, in about 5 min \(\d\d:\d\d\)\n/);
    expect(out).toContain('CANDIDATE  TIER  SCORE  GPUS         ORDERED FIRST\nn1         0     -12    0 3g.40gb@4  0 3g.40gb@4');
    expect(out).toContain('REJECTED  REASON        COUNTS\nn2        NodeCordoned  8 NodeCordoned');
    const json = await against(handlers, ['why', 'train-b', '--trace', '--json']);
    expect(JSON.parse(json.out)).toEqual(why);
  });

  it('ps reads every page and says when there is more than its limit', async () => {
    const handlers: Handlers = {
      listWorkloads: ({ query }) =>
        query.get('cursor') === 'c' ? { items: [workload({ name: 'two' })] } : { items: [workload({ name: 'one' })], nextCursor: 'c' },
    };
    const all = await against(handlers, ['ps']);
    expect(
      all.out
        .trim()
        .split('\n')
        .map((line) => line.split(' ')[0]),
    ).toEqual(['WORKLOAD', 'one', 'two']);
    const limited = await against(handlers, ['ps', '--limit', '1', '--json']);
    expect(JSON.parse(limited.out)).toMatchObject({ complete: false, items: [{ name: 'one' }] });
    expect(limited.err).toContain('more than 1');
  });

  it('logs -f goes on after a broken connection without saying anything twice', async () => {
    let opened = 0;
    const { out, exitCode } = await against(
      {
        getWorkload: () => workload({}),
        workloadLogs: ({ response }) => {
          opened += 1;
          response.write('one\n');
          if (opened === 1) setTimeout(() => response.destroy(), 20);
          else response.end('two\n');
        },
      },
      ['logs', '-f', 'train-a'],
    );
    expect({ out, exitCode, opened }).toEqual({ out: 'one\ntwo\n', exitCode: 0, opened: 2 });
  });

  it('audit fails when something is found', async () => {
    const found = { checkedAtMs: 1, allocations: 1, rounds: 2, findingsSinceStart: 1, findings: [{ invariant: 'I1', text: 'two on one' }] };
    expect(await against({ auditInvariants: () => found }, ['audit'])).toMatchObject({
      exitCode: 1,
      out: expect.stringContaining('I1') as string,
    });
  });
});

describe('replay', () => {
  const trace = `name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time
p-0,1000,1024,1,460,,LS,Running,0,100,0
p-1,1000,1024,1,1000,,LS,Running,5,100,5
p-2,1000,1024,0,0,,LS,Running,6,100,6
p-3,1000,1024,1,100,,LS,Running,7,100,7
`;

  it('submits a trace, follows it to the end and reports what became of it', async () => {
    const { exitCode, report } = await replayed((name) => (name === 'p-3' ? 'refuse' : name === 'p-1' ? 'wait' : 'end'), 'WaitingForSlots');
    expect(exitCode).toBe(0);
    expect(report).toMatchObject({
      rows: 4,
      submitted: 3,
      refused: { 'name-taken': 1 },
      ended: { succeeded: 2 },
      waiting: { WaitingForSlots: 1 },
      unexplained: [],
      submitToPlacedMs: { count: 2, p50: 4, p99: 4, max: 4 },
      submitToRunningMs: { count: 2, p50: 9 },
      audit: { findings: [] },
    });
  });

  it('fails when something neither ended nor waits with a reason', async () => {
    const { exitCode, report } = await replayed(() => 'wait', undefined);
    expect(exitCode).toBe(1);
    expect(report).toMatchObject({ waiting: {}, unexplained: expect.arrayContaining(['p-0 (queued)']) as unknown });
  });

  async function replayed(
    fate: (name: string) => 'refuse' | 'wait' | 'end',
    reason: string | undefined,
  ): Promise<{ exitCode: number; report: unknown }> {
    const directory = mkdtempSync(join(tmpdir(), 'astrago-replay-'));
    const file = join(directory, 'pods.csv');
    writeFileSync(file, trace);
    const known: Workload[] = [];
    const handlers: Handlers = {
      submitWorkload: ({ body }) => {
        const { name } = body as { name: string };
        if (fate(name) === 'refuse') throw new Refusal('name-taken', 'It is taken');
        const made = workload({
          id: name,
          name,
          ...(fate(name) === 'end' ? { phase: 'succeeded', placedAtMs: 5, startedAtMs: 10, endedAtMs: 20 } : {}),
        });
        known.push(made);
        return made;
      },
      listWorkloads: ({ query }) => ({ items: known.filter((one) => (one.endedAtMs === undefined) === (query.get('phase') === 'live')) }),
      whyWorkload: ({ params }) => ({
        workload: params['workload'],
        phase: 'queued',
        sentence: 'It waits.',
        ...(reason === undefined ? {} : { reason }),
        counts: [],
        remedies: [],
      }),
      auditInvariants: () => ({ checkedAtMs: 1, allocations: 0, rounds: 1, findingsSinceStart: 0, findings: [] }),
    };
    try {
      const { exitCode, out } = await against(handlers, [
        'replay',
        file,
        '--burst',
        '--settle',
        '1',
        '--profiles',
        '1g.10gb=1,4g.40gb=4,7g.80gb=7',
        '--json',
      ]);
      return { exitCode, report: JSON.parse(out) as unknown };
    } finally {
      rmSync(directory, { recursive: true });
    }
  }
});
