// One look through stand-ins for nvidia-smi that know only what was recorded of some machine.
import { readFileSync, writeFileSync } from 'node:fs';
import { createMachine, createReplay } from '@astrago/sim';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { InventoryDocument } from './commands/inventory-document.ts';
import { inventoryTable } from './commands/inventory-table.ts';
import { examine } from './examine.ts';
import { captured, fixturePaths } from './smi/testing/fixtures.ts';
import { type Reply, scriptedSmi } from './smi/testing/scripted-smi.ts';
import { takeInventory } from './take-inventory.ts';
import { ofCapture, ofPrickle, ofTranscript, ofXml, type RecordedCommand, replayingSmi } from './testing/replaying-smi.ts';
import { Scratch } from './testing/scratch.ts';

let scratch: Scratch;
beforeEach(() => {
  scratch = new Scratch();
});
afterEach(() => scratch[Symbol.asyncDispose]());

interface Looked {
  readonly exitCode: number;
  readonly document: InventoryDocument;
}

async function look(program: string, limitMs = 20_000): Promise<Looked> {
  const environment = { PATH: process.env['PATH'], ASTRAGO_NVIDIA_SMI: program, ASTRAGO_NODE_NAME: 'n' };
  let printed = '';
  const exitCode = await takeInventory({ kind: 'inventory', json: true, limitMs }, environment, (text) => {
    printed += text;
  });
  const document = JSON.parse(printed) as InventoryDocument;
  expect(document).toMatchObject({ schemaVersion: 1, node: 'n', takenAt: expect.stringMatching(/^\d{4}-.*Z$/) });
  expect(printed).not.toContain('null');
  expect(inventoryTable(document)).toMatch(/^n, driver .*\n/);
  return { exitCode, document };
}

const replayed = (commands: readonly RecordedCommand[]): Promise<Looked> => look(replayingSmi(scratch.directory, commands));
const kinds = ({ document }: Looked): readonly string[] =>
  [...document.gpus.flatMap((gpu) => gpu.conditions), ...document.conditions].map(({ kind }) => kind);

function placeOf({ profile, start, gpuInstanceId }: InventoryDocument['gpus'][number]['slices'][number]): string {
  return `${profile ?? `GI ${gpuInstanceId}`}${start === undefined ? '' : `@${start}`}`;
}

/** A stand-in that has no `-q -x`, or no query, tells less, and the look says what is missing. */
const recorded: readonly {
  readonly what: string;
  readonly commands: () => readonly RecordedCommand[];
  readonly gpus: number;
  readonly slices: readonly string[];
  readonly kinds: readonly string[];
}[] = [
  {
    what: 'only -L',
    commands: () => prickle('h100-mig-20260729', '-L'),
    gpus: 1,
    slices: ['1g.10gb', '1g.10gb'],
    kinds: ['listing-unreadable', 'telemetry-stale'],
  },
  {
    what: 'only -q, H100, cut',
    commands: () => capture('h100-mig__590.48.01').filter(({ args }) => args.join(' ') === '-q'),
    gpus: 1,
    slices: ['GI 2', 'GI 3', 'GI 9', 'GI 10'],
    kinds: ['listing-unreadable'],
  },
  {
    what: 'only --query-gpu',
    commands: () => capture('h100-80gb-hbm3__590.48.01', '--query-gpu', '--help-query-gpu'),
    gpus: 1,
    slices: [],
    kinds: ['telemetry-stale'],
  },
  { what: 'only -q -x, eight H100', commands: () => ofXml('xml/k8s-test-infra-hw__qx-h100.xml'), gpus: 8, slices: [], kinds: [] },
  {
    what: 'H100, cut, without -q -x',
    commands: () => prickle('h100-mig-mixed-20260729'),
    gpus: 1,
    slices: ['3g.40gb@0', '1g.10gb+me@4', '1g.10gb@6'],
    kinds: [],
  },
  {
    what: 'H100, cut, without its MIG listings',
    commands: () => capture('h100-mig__590.48.01'),
    gpus: 1,
    slices: ['2g.20gb@0', '1g.10gb@2', '1g.10gb@3', '3g.40gb@4'],
    kinds: [],
  },
  {
    what: 'a GB200 that is lost, beside another',
    commands: () => ofXml('xml-mock/k8s-test-infra-mock__qx-gb200-lost.xml'),
    gpus: 1,
    slices: [],
    kinds: ['ecc-uncorrectable', 'row-remap-failure', 'gpu-lost'],
  },
  { what: 'H100, whole', commands: () => capture('h100-80gb-hbm3__590.48.01'), gpus: 1, slices: [], kinds: [] },
  { what: 'RTX 2080, driver 610', commands: () => capture('nvidia-geforce-rtx-2080-super__610.62'), gpus: 1, slices: [], kinds: [] },
  {
    what: 'A100 of the days of driver 450',
    commands: () => ofTranscript('a100-pcie-40gb-r450-7x1g.txt'),
    gpus: 1,
    slices: Array.from({ length: 7 }, (_, start) => `1g.5gb@${start}`),
    kinds: ['telemetry-stale'],
  },
];

function prickle(name: string, ...first: readonly string[]): readonly RecordedCommand[] {
  return onlyThose(ofPrickle(name), first);
}

function capture(name: string, ...first: readonly string[]): readonly RecordedCommand[] {
  const file = fixturePaths('captures').find((path) => path.includes(`${name}.txt`)) ?? name;
  return onlyThose(ofCapture(file), first);
}

function onlyThose(commands: readonly RecordedCommand[], first: readonly string[]): readonly RecordedCommand[] {
  return first.length === 0 ? commands : commands.filter(({ args }) => first.some((start) => args[0]?.startsWith(start)));
}

describe('one look through a stand-in that knows', () => {
  it.each(recorded)('$what', async ({ commands, gpus, slices, kinds: expected }) => {
    const looked = await replayed(commands());

    const cut = looked.document.gpus.flatMap((gpu) => gpu.slices.map(placeOf));
    expect({ exitCode: looked.exitCode, gpus: looked.document.gpus.length, slices: cut, kinds: kinds(looked) }).toEqual({
      exitCode: gpus > 0 ? 0 : 1,
      gpus,
      slices,
      kinds: expected,
    });
    for (const { detail } of looked.document.conditions) expect(detail).not.toMatch(/\n\s+at /);
  });

  it('tells what was measured in base units, and leaves out the rest', async () => {
    const { document } = await replayed(capture('h100-80gb-hbm3__590.48.01'));

    expect(document).toMatchObject({ driverVersion: '590.48.01', processes: [] });
    const [gpu] = document.gpus;
    expect(gpu).toMatchObject({
      index: 0,
      model: 'NVIDIA H100 80GB HBM3',
      memoryBytes: 81559 * 2 ** 20,
      mig: { capable: true, enabled: false },
      slices: [],
      conditions: [],
    });
    expect(gpu).not.toHaveProperty('profiles');
    expect(gpu?.mig).not.toHaveProperty('pending');
    expect(gpu?.readings['gpuUtilizationRatio']).toBe(0);
    expect(gpu?.readings['powerWatts']).toBeGreaterThan(0);
  });
});

describe('how GPUs are connected', () => {
  it.each([
    ['h100-80gb-hbm3__590.48.01', 0],
    ['h100-mig__590.48.01', 0],
    ['l40s__595.80', 0],
    ['nvidia-geforce-rtx-2080-super__610.62', undefined],
    ['nvidia-geforce-rtx-2080-super__591.86', undefined],
  ])('is told of %s', async (name, numaNode) => {
    const [gpu] = (await replayed(capture(name))).document.gpus;
    expect([gpu?.nvlinkGroup, gpu?.numaNode]).toEqual([undefined, numaNode]);
  });

  it('is in a bundle, from which a stand-in tells it again', async () => {
    const { nvidiaSmi } = createMachine({ directory: scratch.path('machine'), model: 'a30-24gb', gpuCount: 4, seed: 1 });
    const environment = { PATH: process.env['PATH'], ASTRAGO_NVIDIA_SMI: nvidiaSmi, ASTRAGO_NODE_NAME: 'n' };
    const bundle = `${scratch.path('bundle')}/`;
    const command = { kind: 'doctor', json: true, limitMs: 20_000, bundle, redact: true } as const;
    let report = '';
    await examine(
      command,
      environment,
      (text) => {
        report += text;
      },
      () => undefined,
    );
    expect(report).toContain('4 GPUs, NVLink between GPU 0, 1 and GPU 2, 3, NUMA nodes 0, 1');
    const replay = createReplay({ directory: scratch.path('replay'), bundle });
    const { document } = await look(replay.nvidiaSmi);
    expect(document.gpus.map(({ nvlinkGroup, numaNode }) => [nvlinkGroup, numaNode])).toEqual([
      [0, 0],
      [0, 0],
      [2, 1],
      [2, 1],
    ]);
  });

  it('is left out where that command hangs, and nothing else is', async () => {
    const { nvidiaSmi, faultsFile } = createMachine({ directory: scratch.path('machine'), model: 'h100-80gb', gpuCount: 2, seed: 1 });
    writeFileSync(faultsFile, JSON.stringify({ rules: [{ match: { args: 'topo' }, action: { hang: true } }] }));
    const looked = await look(nvidiaSmi, 5000);
    expect(looked.exitCode).toBe(0);
    expect(kinds(looked)).toEqual([]);
    for (const gpu of looked.document.gpus) {
      expect(gpu).not.toHaveProperty('nvlinkGroup');
      expect(gpu).not.toHaveProperty('numaNode');
      expect(gpu.readings['powerWatts']).toBeGreaterThan(0);
    }
  });
});

const help: Reply = { stdout: captured('captures/linux-x86_64__nvidia-l40s__595.80.txt', /--help-query-gpu$/) };

describe('a driver that does not answer', () => {
  it.each([
    ['is not loaded', { exit: 9, stdout: "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n" }],
    ['is of another version than its library', { exit: 18, stdout: 'Failed to initialize NVML: Driver/library version mismatch\n' }],
    ['lacks its library', { exit: 12, stdout: "NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.\n" }],
  ] satisfies readonly (readonly [string, Reply])[])('because it %s is a finding', async (_what, reply) => {
    using smi = scriptedSmi({ '*': reply });
    const looked = await look(smi.program);

    expect(looked.exitCode).toBe(1);
    expect(looked.document.gpus).toEqual([]);
    expect(looked.document.conditions).toEqual([
      { kind: 'driver-unavailable', severity: 'critical', action: 'none', detail: expect.stringContaining(reply.stdout.trim()) },
    ]);
  });

  it('because it is not installed is a finding that says what to do', async () => {
    const looked = await look(scratch.path('nowhere'));

    expect(looked.exitCode).toBe(1);
    expect(looked.document.conditions).toMatchObject([
      { kind: 'driver-unavailable', detail: expect.stringMatching(/ENOENT; install the NVIDIA driver, or name .* ASTRAGO_NVIDIA_SMI/) },
    ]);
  });

  it('because it hangs is given up at the limit, and not asked again', async () => {
    using smi = scriptedSmi({ '--help-query-gpu': help, '*--query-gpu=index*': { then: "trap '' TERM; exec sleep 300" } });
    const looked = await look(smi.program, 300);

    expect(looked.exitCode).toBe(1);
    expect(looked.document.conditions).toMatchObject([{ kind: 'driver-hung', severity: 'critical', action: 'reboot' }]);
    expect(smi.calls()).toHaveLength(2);
  });

  it('prints garbage, which is called so', async () => {
    using smi = scriptedSmi({ '--help-query-gpu': help, '*': { then: 'head -c 2000 /dev/urandom' } });
    const looked = await look(smi.program);

    expect(looked.exitCode).toBe(1);
    expect(kinds(looked)).toEqual(expect.arrayContaining(['listing-unreadable']));
  });

  it('has no GPUs, which is an answer', async () => {
    using smi = scriptedSmi({ '--help-query-gpu': help, '*': { stdout: 'No devices were found\n', exit: 6 } });
    const looked = await look(smi.program);

    expect(looked).toMatchObject({ exitCode: 0, document: { gpus: [], conditions: [], processes: [] } });
    expect(readFileSync(smi.path('calls'), 'utf8')).toContain('--query-gpu=');
  });
});
