// `partition export` and `partition import` against a server that plans as it is told.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Gpu, LayoutPlan } from '@astrago/api';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { Refusal, startApiServer } from '../testing/api-server.ts';
import { type CapturedRun, capturedRun } from '../testing/captured-run.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'astrago-parted-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const example = `version: v1
mig-configs:
  all-balanced:
    - device-filter: ["0x233010DE", "0x233110DE"]
      devices: all
      mig-enabled: true
      mig-devices:
        "1g.10gb": 2
        2g.20gb: 1
        "3g.40gb": 1
  first-only:
    - {devices: [0, 7], mig-enabled: true, mig-placements: [{profile: 3g.40gb, start: 4}]}
  off: [{devices: all, mig-enabled: false}]
  parts:
    - devices: all
      mig-enabled: true
      mig-devices: {"1c.3g.40gb": 2}
`;

function gpu(node: string, index: number, over: Partial<Gpu> = {}): Gpu {
  const units = { compute: 7, memory: 8 };
  return {
    node,
    index,
    uuid: `GPU-${node}-${index}`,
    model: 'NVIDIA H100 80GB HBM3',
    migCapable: true,
    migEnabled: true,
    layoutPinned: false,
    slices: [],
    shares: [],
    units,
    allocatedUnits: { compute: 0, memory: 0 },
    conditions: [],
    ...over,
  };
}

const gpus = [
  gpu('n1', 0, {
    layout: {
      kind: 'mig',
      slices: [
        { profile: '3g.40gb', start: 0 },
        { profile: '1g.10gb', start: 6 },
      ],
    },
  }),
  gpu('n1', 1, {
    slices: [
      { profile: '3g.40gb', start: 4, size: 4, state: 'live' },
      { profile: '1g.10gb', start: 0, size: 1, state: 'unwanted' },
      { profile: '1g.10gb', start: 1, size: 1, state: 'wanted' },
    ],
  }),
  gpu('n2', 0, { migEnabled: false }),
];

/** The second node is cut by somebody else. */
function nodeNamed(name: string): object {
  const units = { compute: 0, memory: 0 };
  const conditions =
    name === 'n2'
      ? [
          {
            kind: 'other-mig-manager',
            detail: 'layouts are observed and not changed',
            sinceMs: 1,
            severity: 'warning',
            action: 'none',
            keepsWorkAway: false,
          },
        ]
      : [];
  return {
    name,
    state: 'ready',
    cordoned: false,
    labels: {},
    taints: [],
    gpuCount: 1,
    models: [],
    cpuMilliAllocated: 0,
    memoryMiBAllocated: 0,
    units,
    allocatedUnits: units,
    conditions,
  };
}

interface Asked {
  readonly gpu: string;
  readonly dryRun: boolean;
  readonly layout: string;
}

async function against(
  argv: readonly string[],
  refuse: (asked: Asked) => Refusal | undefined = () => undefined,
  known: readonly Gpu[] = gpus,
): Promise<CapturedRun & { readonly asked: readonly Asked[] }> {
  const asked: Asked[] = [];
  await using server = await startApiServer({
    listGpus: ({ query }) => ({ items: known.filter((one) => query.get('node') === null || one.node === query.get('node')) }),
    listNodes: () => ({ items: [...new Set(known.map((one) => one.node))].map(nodeNamed) }),
    setLayout: ({ params, query, body }): LayoutPlan => {
      const own = known.find((one) => one.uuid === params['gpu']);
      if (own === undefined) throw new Refusal('not-found', 'There is no such GPU.');
      const ask = { gpu: `${own.node}/${own.index}`, dryRun: query.get('dryRun') === 'true', layout: (body as { layout: string }).layout };
      asked.push(ask);
      const refusal = refuse(ask);
      if (refusal !== undefined) throw refusal;
      // A plan that a planner with one opinion would make: the first slice stays, the others are new.
      const slices = ask.layout
        .split(',')
        .map((part, at) => ({ profile: part.replace(/[@*].*/, ''), start: Number(/@(\d+)/.exec(part)?.[1] ?? at) }));
      const whole = ask.layout === 'whole';
      return {
        ...own,
        applied: !ask.dryRun,
        layout: whole ? { kind: 'whole' } : { kind: 'mig', slices },
        keep: whole ? [] : slices.slice(0, 1).map((slice) => ({ ...slice, workload: 'train-a' })),
        create: whole ? [] : slices.slice(1),
        destroy: [],
        modeChange: whole ? 'disable' : 'none',
        text: 'as asked',
      };
    },
  });
  return { ...(await capturedRun([...argv, '--url', server.url, '--token', 't'])), asked };
}

function file(text = example): string {
  const path = join(directory, 'config.yaml');
  writeFileSync(path, text);
  return path;
}

describe('partition export', () => {
  it('writes one node as "current", with counts', async () => {
    const { exitCode, out, err } = await against(['partition', 'export', '--node', 'n1']);
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    expect(out).toBe(`version: v1
mig-configs:
  current:
    - devices: all
      mig-enabled: true
      mig-devices:
        1g.10gb: 1
        3g.40gb: 1
`);
  });

  it('writes several nodes by name, and placements where they are asked for', async () => {
    const to = join(directory, 'out.yaml');
    const { exitCode, out, err } = await against(['partition', 'export', '--format', 'astrago', '-o', to]);
    expect({ exitCode, out }).toEqual({ exitCode: 0, out: '' });
    expect(err).toContain('n1, n2');
    expect(readFileSync(to, 'utf8')).toContain('    - devices: [0]\n      mig-enabled: true\n');
    expect(readFileSync(to, 'utf8')).toContain('        - {profile: 3g.40gb, start: 0}\n');
    expect(parse(readFileSync(to, 'utf8'))).toMatchObject({
      version: 'v1',
      'mig-configs': {
        n1: [
          {
            devices: [0],
            'mig-placements': [
              { profile: '3g.40gb', start: 0 },
              { profile: '1g.10gb', start: 6 },
            ],
          },
          {
            devices: [1],
            'mig-placements': [
              { profile: '1g.10gb', start: 0 },
              { profile: '3g.40gb', start: 4 },
            ],
          },
        ],
        n2: [{ devices: 'all', 'mig-enabled': false }],
      },
    });
    // What was written is read again: the same slices, where they were.
    const back = await against(['partition', 'import', to, '--config', 'n1', '--node', 'n1', '--dry-run']);
    expect(back.asked.map(({ layout }) => layout).sort()).toEqual(['1g.10gb@0,3g.40gb@4', '3g.40gb@0,1g.10gb@6']);
  });

  it('is one JSON document under --json, and says so where there is nothing', async () => {
    const { out } = await against(['partition', 'export', '--json', '--node', 'n2']);
    expect(JSON.parse(out)).toEqual({ version: 'v1', 'mig-configs': { current: [{ devices: 'all', 'mig-enabled': false }] } });
    expect(await against(['partition', 'export', '--node', 'n9'])).toMatchObject({
      exitCode: 4,
      err: expect.stringContaining('n9') as string,
    });
    expect(await against(['partition', 'export', '--format', 'other'])).toMatchObject({ exitCode: 2 });
  });
});

describe('partition import', () => {
  const importing = (config: string, ...more: readonly string[]): readonly string[] => [
    'partition',
    'import',
    file(),
    '--config',
    config,
    ...more,
  ];

  it('plans every GPU and then orders the very placements that it showed', async () => {
    const { exitCode, out, asked } = await against(importing('all-balanced', '--yes', '--node', 'n1'));
    expect(exitCode).toBe(0);
    const wish = '1g.10gb*2,2g.20gb,3g.40gb';
    expect(asked.slice(0, 2)).toEqual(expect.arrayContaining(['n1/0', 'n1/1'].map((name) => ({ gpu: name, dryRun: true, layout: wish }))));
    expect(asked.slice(2)).toEqual(['n1/0', 'n1/1'].map((name) => ({ gpu: name, dryRun: false, layout: '1g.10gb@0,2g.20gb@1,3g.40gb@2' })));
    expect(out).toBe(
      [
        'GPU   MIG  KEEP                 DESTROY  CREATE',
        'n1/0  -    1g.10gb@0 (train-a)  -        2g.20gb@1 3g.40gb@2',
        'n1/1  -    1g.10gb@0 (train-a)  -        2g.20gb@1 3g.40gb@2',
        'Ordered; astrago gpus shows the layouts once the nodes have made them.',
        '',
      ].join('\n'),
    );
  });

  it('changes nothing without --yes, nor with --dry-run', async () => {
    const looked = await against(importing('off', '--dry-run', '--yes'));
    expect(looked).toMatchObject({ exitCode: 0, out: expect.stringContaining('n2/0  disable') as string });
    expect(looked.out).toContain('Dry run: nothing was changed.');
    const shown = await against(importing('off'));
    expect(shown).toMatchObject({
      exitCode: 2,
      err: expect.stringContaining('--yes') as string,
      out: expect.stringContaining('n1/0') as string,
    });
    for (const { dryRun } of [...looked.asked, ...shown.asked]) expect(dryRun).toBe(true);
    const json = await against(importing('off', '--dry-run', '--json'));
    expect(JSON.parse(json.out)).toMatchObject({ config: 'off', plans: [{ node: 'n1' }, { node: 'n1' }, { node: 'n2' }] });
  });

  it('leaves all as they are where one is refused, and names what is in the way', async () => {
    const { exitCode, out, err, asked } = await against(importing('off', '--yes'), ({ gpu }) =>
      gpu === 'n1/1'
        ? new Refusal('layout-blocked', 'whole needs the GPU to be free; in the way: train-a', { blockers: ['train-a'] })
        : undefined,
    );
    expect(exitCode).toBe(5);
    expect(err).toContain('1 of 3 GPUs cannot be cut like this, and none was changed');
    expect(err).toContain('n1/1: whole needs the GPU to be free; in the way: train-a.');
    expect(out).toContain('refused: layout-blocked');
    expect(asked.every(({ dryRun }) => dryRun)).toBe(true);
  });

  it('says how far it came when one is refused after all', async () => {
    const { exitCode, err } = await against(importing('off', '--yes'), ({ gpu, dryRun }) =>
      !dryRun && gpu === 'n1/1' ? new Refusal('layout-blocked', 'somebody was faster') : undefined,
    );
    expect(exitCode).toBe(5);
    expect(err).toContain('n1/1 was not ordered: somebody was faster. Ordered before it: n1/0. Not tried: n2/0. Run again');
  });

  it('orders placements of the file, and remarks on GPUs that are not there', async () => {
    const { asked, err } = await against(importing('first-only', '--yes', '--node', 'n2'));
    expect(asked.map(({ layout }) => layout)).toEqual(['3g.40gb@4', '3g.40gb@4']);
    expect(err).toContain('Node n2 has no GPU 7');
    expect(err).toContain('Node n2: layouts are observed and not changed.');
  });

  it.each([
    [['missing'], 2, 'has no configuration "missing". It has: all-balanced, first-only, off, parts.'],
    [['parts'], 2, 'config.yaml:17:21: /mig-configs/parts/0/mig-devices/1c.3g.40gb: on node n1: a slice is made with one compute instance'],
    [['off', '--node', 'n9'], 4, 'No GPU is known of a node n9.'],
  ])('refuses %j before anything is planned', async ([config = '', ...more], code, says) => {
    const { exitCode, err, asked } = await against(importing(config, ...more));
    expect(err).toContain(says);
    expect({ exitCode, asked }).toEqual({ exitCode: code, asked: [] });
  });

  it.each([
    [
      'version: v1\nmig-configs:\n  a:\n    - devices: all\n      mig-enabled: false\n      bogus: 1\n',
      ':6:7: /mig-configs/a/0/bogus: unexpected field',
    ],
    ['version: v1\nmig-configs:\n  a: []\n  a: []\n', ':4:3: Map keys must be unique'],
    ['version: v1\n  mig-configs: x\n', ':1:10: '],
    ['version: v1\n---\nversion: v1\n', 'multiple documents'],
    ['- 1\n', ':1:1: this is no mig-parted configuration'],
    ['', 'this is no mig-parted configuration'],
    ['kind: ConfigMap\ndata: {config.yaml: "version: v1"}\n', 'is a Kubernetes object'],
    [
      'version: v1\nmig-configs:\n  a: [{devices: all, device-filter: 0x233010DE, mig-enabled: false}]\n',
      ':3:22: /mig-configs/a/0/device-filter: 590352606 must be text',
    ],
    [`version: v1\nmig-configs: {a: [${Array.from({ length: 12 }, () => 'x').join(', ')}]}\n`, 'And 2 more.'],
    [
      `a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c]\n`,
      'cannot be read',
    ],
    [`# ${'x'.repeat(1024 * 1024)}\n`, 'has 1048579 bytes'],
  ])('points at what is wrong in the text (%#)', async (text, says) => {
    const path = file(text);
    const { exitCode, err, asked } = await against(['partition', 'import', path, '--config', 'a']);
    expect(err).toContain(says);
    expect(err).toContain(path);
    expect({ exitCode, asked }).toEqual({ exitCode: 2, asked: [] });
  });

  it('needs a file and the name of a configuration', async () => {
    expect(await against(['partition', 'import', join(directory, 'gone.yaml'), '--config', 'a'])).toMatchObject({
      exitCode: 2,
      err: expect.stringContaining('There is no file') as string,
    });
    expect(await against(['partition', 'import', file()])).toMatchObject({
      exitCode: 2,
      err: expect.stringContaining('--config') as string,
    });
  });

  it('leaves the command for one GPU as it was', async () => {
    const { exitCode, asked } = await against(['partition', 'n1/0', '--layout', 'whole', '--dry-run'], () => undefined, [
      { ...gpu('n1', 0), uuid: '0' },
    ]);
    expect({ exitCode, asked }).toEqual({ exitCode: 0, asked: [{ gpu: 'n1/0', dryRun: true, layout: 'whole' }] });
  });
});
