import type { Gang, Workspace, WorkspacePreview } from '@astrago/api';
import { describe, expect, it } from 'vitest';
import { against, workload } from '../testing/against.ts';
import { type Handlers, Refusal } from '../testing/api-server.ts';
import { capturedRun } from '../testing/captured-run.ts';

const command = ['--', 'x'];

/** The body that a submit sends, without what every submit has. */
async function sent(...options: readonly string[]): Promise<unknown> {
  let body: unknown;
  const submitted: Handlers = {
    submitWorkload: (received) => {
      body = received.body;
      return workload({});
    },
    submitGang: (received) => {
      body = received.body;
      return gang();
    },
  };
  const { exitCode, err } = await against(submitted, ['submit', 'train', ...options, ...command]);
  expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
  const { name: _, command: __, ...rest } = body as { name: string; command: string[] };
  return rest;
}

function gang(over: Partial<Gang> = {}): Gang {
  const members = { name: 'train', least: 2, members: 2 };
  const items = [0, 1].map((number) => workload({ id: `w${number}`, name: `train-${number}`, gang: members }));
  return { workspace: 'default', ...members, items, ...over };
}

describe('submit', () => {
  it.each([
    [['--slice', '1g.10gb', '--slices', '3'], { slice: '1g.10gb', count: 3 }],
    [['--at-least', '20GiB/2'], { atLeast: { memoryMiB: 20_480, computeSlices: 2 } }],
    [['--at-least', '20GiB', '--slices', '2'], { atLeast: { memoryMiB: 20_480, computeSlices: 1, count: 2 } }],
    [['--share', '300'], { share: { milli: 300 } }],
    [
      ['--share', '30%', '--share-by', 'time-slicing', '--share-memory', '10GiB'],
      { share: { by: 'time-slicing', milli: 300, memoryMiB: 10_240 } },
    ],
    [['--members', '4', '--at-least-members', '3'], { members: { count: 4, least: 3 } }],
    [['--restartable', '--expect', '2h30m'], { interruptible: 'restart', expectedSeconds: 9000 }],
    [['--checkpoints'], { interruptible: 'checkpoint' }],
    [['--on', 'rack=r1', '--on', 'zone=z'], { constraints: { nodeLabels: { rack: 'r1', zone: 'z' } } }],
    [['--tolerate', 'spot', '--tolerate', 'team=a'], { constraints: { tolerations: ['spot', 'team=a'] } }],
    [
      ['--together', 'nvlink', '--together', 'rack:preferred', '--apart', 'node:preferred', '--members', '2'],
      {
        constraints: {
          together: [
            { level: 'nvlink', required: true },
            { level: 'rack', required: false },
          ],
          apart: { level: 'node', required: false },
        },
        members: { count: 2 },
      },
    ],
  ])('%j asks for that and no more', async (options, body) => expect(await sent(...options)).toEqual(body));

  it.each([
    [['--slices', '2'], '--slices says how many, not which.'],
    [['--share-by', 'mps'], 'are of a share'],
    [['--share-memory', '1Gi'], 'are of a share'],
    [['--at-least-members', '2'], 'is of a gang'],
    [['--restartable', '--checkpoints'], 'not both'],
    [['--share', '1000'], '1 to 999 thousandths'],
    [['--share', '30%', '--share-by', 'luck'], 'Allowed choices are mps, time-slicing'],
    [['--at-least', '20'], 'Give a size with its unit'],
    [['--expect', '90'], 'Give a time with its units'],
    [['--on', 'rack'], 'Give KEY=VALUE'],
    [['--together', 'rack:maybe'], 'LEVEL:preferred'],
  ])('refuses %j as a usage error', async (options, says) => {
    const { exitCode, err } = await capturedRun(['submit', 'train', ...options, ...command]);

    expect(err).toContain(says);
    expect(exitCode).toBe(2);
  });

  it('tells of a gang what starts together', async () => {
    const submitted = (answer: Gang) => against({ submitGang: () => answer }, ['submit', 'train', '--members', '2', ...command]);

    expect((await submitted(gang())).out).toBe('train queued (2 members, all start together)\n');
    expect((await submitted(gang({ least: 1 }))).out).toBe('train queued (2 members, 1 start together)\n');
  });

  it.each([
    [[0, 0], 0],
    [[0, 42], 42],
    [[undefined, 0], 7],
  ])('--wait waits for all members, and ends as the first that did not succeed (%j)', async (codes, code) => {
    const end = (number: number) => {
      const exitCode = codes[number];
      const phase = exitCode === undefined ? 'cancelled' : exitCode === 0 ? 'succeeded' : 'failed';
      return workload({ id: `w${number}`, name: `train-${number}`, phase, exitCode, endedAtMs: 2 });
    };
    const { exitCode, out, err } = await against(
      { submitGang: () => gang(), getWorkload: ({ params }) => end(params['workload'] === 'w0' ? 0 : 1) },
      ['submit', 'train', '--members', '2', '--wait', ...command],
    );

    expect(exitCode).toBe(code);
    expect(err).toBe('train-0 queued\ntrain-1 queued\n');
    expect(out.match(/^train-[01] (succeeded|failed|cancelled)/gm)).toHaveLength(2);
  });
});

describe('the name of a gang', () => {
  const notThere = () => Promise.reject(new Refusal('not-found', 'there is no workload train'));

  it('stops all its members', async () => {
    const stopped = gang();
    const items = stopped.items.map((member, index) => ({
      ...member,
      phase: index === 0 ? ('stopping' as const) : ('cancelled' as const),
    }));

    const { out, exitCode } = await against({ stopWorkload: notThere, stopGang: () => ({ ...stopped, items }) }, ['stop', 'train']);

    expect({ out, exitCode }).toEqual({ out: 'train: 1 stopping, 1 cancelled\n', exitCode: 0 });
  });

  it('shows its members, and why one of them waits', async () => {
    const why = { workload: 'train-1', phase: 'queued', sentence: 'train-1 waits.', counts: [], remedies: [] };
    const handlers: Handlers = {
      getWorkload: notThere,
      getGang: () => gang(),
      whyWorkload: ({ params }) => (params['workload'] === 'train' ? notThere() : why),
    };

    const described = await against(handlers, ['describe', 'train']);
    const asked = await against(handlers, ['why', 'train']);

    expect(described.out).toContain('train: 2 queued (2 members, all start together)');
    expect(described.out).toMatch(/^train-1 +queued +-- +-- +--$/m);
    expect(asked.out).toBe('train: 2 queued (2 members, all start together).\n\ntrain-1 waits.\n');
  });

  it('that is no gang either is not found, with the first answer', async () => {
    const { exitCode, err } = await against({ stopWorkload: notThere }, ['stop', 'train']);

    expect(exitCode).toBe(4);
    expect(err).toContain('there is no workload train');
  });
});

describe('describe', () => {
  it('shows all that was asked, and what became of it', async () => {
    const shown = workload({
      phase: 'running',
      share: { by: 'mps', milli: 300, memoryMiB: 10_240 },
      node: 'a',
      devices: [{ gpuUuid: 'GPU-1', gpuIndex: 0, share: { by: 'mps', milli: 300, memoryMiB: 10_240 } }],
      enforcement: 'driver',
      constraints: { nodeLabels: { rack: 'r1' }, tolerations: ['spot'], together: [{ level: 'numa', required: false }] },
      gang: { name: 'train', least: 2, members: 3 },
      interruptible: 'checkpoint',
      eviction: { cause: 'moved', beneficiary: 'w9', atMs: 1, count: 2 },
      borrowed: true,
      expectedSeconds: 9000,
    });

    const { out } = await against({ getWorkload: () => shown }, ['describe', 'train-a']);

    for (const line of [
      'gang             train (3 members, 2 start together)',
      'asks for         30% mps 10Gi',
      'on nodes with    rack=r1',
      'tolerates        spot',
      'together by      numa, if it can be',
      'may be stopped   and goes on from what it has saved',
      'device           30% mps 10Gi of GPU 0 (GPU-1)',
      'enforcement      driver',
      'borrows          more than is guaranteed to its workspace',
      'evicted          2x, last moved for w9',
      'expected to run  2h30m',
    ])
      expect(out.split('\n')).toContain(line);
  });
});

describe('node', () => {
  const node = { name: 'a', state: 'ready', cordoned: false, gpuCount: 0, models: [], cpuMilliAllocated: 0, memoryMiBAllocated: 0 };
  const units = { compute: 0, memory: 0 };
  const shown = { ...node, units, allocatedUnits: units, conditions: [], labels: { rack: 'r1' }, taints: ['spot'] };

  it('label and taint send their changes, and show what is there now', async () => {
    const bodies: unknown[] = [];
    const keep = ({ body }: { readonly body: unknown }) => {
      bodies.push(body);
      return shown;
    };
    const labelled = await against({ labelNode: keep }, ['node', 'label', 'a', 'rack=r1', 'zone-']);
    const tainted = await against({ taintNode: keep }, ['node', 'taint', 'a', 'spot', 'team=a', 'old-']);

    expect(bodies).toEqual([
      { set: { rack: 'r1' }, remove: ['zone'] },
      { add: ['spot', 'team=a'], remove: ['old'] },
    ]);
    expect([labelled.out, tainted.out]).toEqual(['a has the labels rack=r1\n', 'a has the taints spot\n']);
  });

  it.each([
    [['label', 'a', 'rack'], 'does not change a label'],
    [['taint', 'a', '=x'], 'does not change a taint'],
    [['label', 'a'], 'Missing required argument'],
  ])('refuses %j as a usage error', async (argv, says) => {
    const { exitCode, err } = await capturedRun(['node', ...argv]);

    expect(err).toContain(says);
    expect(exitCode).toBe(2);
  });

  it('labels and taints are columns of nodes once one has some', async () => {
    const bare = { ...shown, labels: {}, taints: [] };

    expect((await against({ listNodes: () => ({ items: [shown] }) }, ['nodes'])).out).toMatch(/LABELS +TAINTS\n.* rack=r1 +spot\n/);
    expect((await against({ listNodes: () => ({ items: [bare] }) }, ['nodes'])).out).not.toContain('LABELS');
  });
});

describe('workspace set', () => {
  const use = { compute: 3, memory: 4, cpuMilli: 0, memoryMiB: 0 };
  const workspace = (over: Partial<Workspace>): Workspace => ({
    name: 'team',
    limit: {},
    weight: 1,
    used: use,
    usedWithChildren: use,
    queued: 0,
    running: 1,
    ...over,
  });

  it.each([
    [[], {}],
    [['--compute-slices', '7', '--memory-slices', '8'], { limit: { compute: 7, memory: 8 } }],
    [['--unlimited'], { limit: null }],
    [
      ['--limit', '14', '--model-limit', 'h100=7', '--model-limit', 'a30=none'],
      { limit: { compute: 14, models: { h100: { compute: 7 }, a30: null } } },
    ],
    [['--guarantee', 'compute=4,memory=4', '--parent', 'org'], { guaranteed: { compute: 4, memory: 4 }, parent: 'org' }],
    [['--model-guarantee', 'h100=7/8'], { guaranteed: { models: { h100: { compute: 7, memory: 8 } } } }],
    [['--weight', '2.5', '--budget', '500/week:soft'], { weight: 2.5, budget: { sliceHours: 500, period: 'week', kind: 'soft' } }],
    [['--no-parent', '--no-guarantee', '--no-budget'], { parent: null, guaranteed: null, budget: null }],
  ])('%j changes that and no more', async (options, body) => {
    let sentBody: unknown;
    const handlers: Handlers = {
      changeWorkspace: (received) => {
        sentBody = received.body;
        return workspace({});
      },
    };

    const { exitCode } = await against(handlers, ['workspace', 'set', 'team', ...options]);

    expect(exitCode).toBe(0);
    expect(sentBody).toEqual(body);
  });

  const own = { id: 'w1', name: 'train-3', workspace: 'team-b' };
  const nobody = { count: 0, items: [] };
  const preview: WorkspacePreview = {
    sentence: 'train-3 of team-b would be stopped for eval-1 of team.',
    stopped: {
      count: 1,
      items: [
        {
          ...own,
          cause: 'reclaimed',
          beneficiary: { id: 'w2', name: 'eval-1', workspace: 'team' },
          afterStops: false,
          startsAgain: true,
        },
      ],
    },
    spared: nobody,
    started: { count: 52, items: [{ id: 'w2', name: 'eval-1', workspace: 'team', borrowed: true, afterStops: true }] },
    heldBack: { count: 1, items: [{ ...own, name: 'late', obstacle: 'limit' }] },
    borrowed: nobody,
    owned: { count: 1, items: [{ ...own, name: 'old' }] },
    waitsOtherwise: { count: 1, items: [{ ...own, name: 'big', before: 'limit', after: 'room' }] },
    overCommitted: nobody,
    goesOn: false,
  };

  it('with --dry-run changes nothing, and tells what the change would do', async () => {
    const asked: unknown[] = [];
    const handlers: Handlers = {
      changeWorkspace: ({ query }) => {
        asked.push(query.get('dryRun'));
        return { ...workspace({ limit: { compute: 14 } }), preview };
      },
    };
    const argv = ['workspace', 'set', 'team', '--guarantee', '7', '--dry-run'];

    const { out, exitCode } = await against(handlers, argv);
    const json = await against(handlers, [...argv, '--json']);

    expect(exitCode).toBe(0);
    expect(asked).toEqual(['true', 'true']);
    expect(out.split('\n')).toEqual([
      'train-3 of team-b would be stopped for eval-1 of team.',
      '',
      'WORKLOAD  WORKSPACE  THEN            HOW',
      'train-3   team-b     stopped         reclaimed for eval-1 of team, starts again',
      'eval-1    team       starts          after stops, borrowed',
      '51 more   --         starts          --',
      'late      team-b     does not start  waits: limit',
      'old       team-b     its own         runs on',
      'big       team-b     waits           room, was limit',
      '',
      'WORKSPACE  COMPUTE SLICES  MEMORY SLICES   RUNNING  QUEUED',
      'team       3 of 14         4 of unlimited  1        0',
      '',
      'Dry run: nothing was changed.',
      '',
    ]);
    expect(JSON.parse(json.out)).toMatchObject({ name: 'team', preview });
  });

  it('without it says so to the controller, and tells of no dry run', async () => {
    const asked: unknown[] = [];
    const handlers: Handlers = {
      changeWorkspace: ({ query }) => {
        asked.push(query.get('dryRun'));
        return workspace({});
      },
    };

    const { out } = await against(handlers, ['workspace', 'set', 'team', '--weight', '2']);

    expect(asked).toEqual(['false']);
    expect(out).not.toContain('Dry run');
  });

  it('shows workspaces as a tree, with the columns that say something', async () => {
    const items = [
      workspace({ name: 'child', parent: 'org', guaranteed: { compute: 7 }, budget: { sliceHours: 5, period: 'day', kind: 'hard' } }),
      workspace({ name: 'org', limit: { compute: 14 } }),
    ];

    const { out } = await against({ listWorkspaces: () => ({ items }) }, ['workspaces']);

    expect(out.split('\n')).toEqual([
      'WORKSPACE  PARENT  COMPUTE SLICES  MEMORY SLICES   GUARANTEED  BUDGET      RUNNING  QUEUED',
      'org        --      3 of 14         4 of unlimited  --          --          1        0',
      '  child    org     3 of unlimited  4 of unlimited  compute=7   5/day:hard  1        0',
      '',
    ]);
  });
});
