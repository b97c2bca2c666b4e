import { writeFileSync } from 'node:fs';
import { type GpuUuid, parseGpuUuid } from '@astrago/shared/domain/ids';
import { type ProfileName, parseProfileName } from '@astrago/shared/domain/mig/profile';
import { describe, expect, it } from 'vitest';
import { DriverFault } from '../app/ports.ts';
import { createSmiDriver, type SmiDriverOptions } from './driver.ts';
import { captured, fixture } from './testing/fixtures.ts';
import { type Reply, type ScriptedSmi, scriptedSmi } from './testing/scripted-smi.ts';

const h100 = uuid('GPU-0d0831da-0c98-2717-6446-8acd91d39b65');
const other = uuid('GPU-8b89b58e-b427-108d-ac50-06138d78fe78');
const help = captured('captures/linux-x86_64__nvidia-h100-mig__590.48.01.txt', /--help-query-gpu$/);
const signal = new AbortController().signal;

function uuid(text: string): GpuUuid {
  const parsed = parseGpuUuid(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

function profile(text: string): ProfileName {
  const parsed = parseProfileName(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

const placements = [
  'GPU  0 Profile ID 19 Placements: {0,1,2,3,4,5,6}:1',
  'GPU  0 Profile ID 20 Placements: {0,1,2,3,4,5,6}:1',
  'GPU  0 Profile ID 15 Placements: {0,2,4,6}:2',
  'GPU  0 Profile ID 14 Placements: {0,2,4}:2',
  'GPU  0 Profile ID  9 Placements: {0,4}:4',
  'GPU  0 Profile ID  5 Placement : {0}:4',
  'GPU  0 Profile ID  0 Placement : {0}:8',
  '',
].join('\n');

function facts(gpu: GpuUuid, index: number, mode: string, pending = mode): string {
  return `${index}, ${gpu}, NVIDIA H100 80GB HBM3, 00000000:0${index}:00.0, 81559, ${mode}, ${pending}, 580.173.02\n`;
}

/** The recorded mixed H100: 3g.40gb with a part of it in use, 1g.10gb, 1g.10gb+me. */
function mixed(more: Readonly<Record<string, Reply>> = {}): ScriptedSmi {
  const recorded = (file: string): Reply => ({ stdout: fixture(`prickle/h100-mig-mixed-20260729/${file}.txt`) });
  return scriptedSmi({
    '--help-query-gpu': { stdout: help },
    '*--query-gpu=index*': { stdout: facts(h100, 0, 'Enabled') },
    '*-L': recorded('gpus'),
    'mig *-lgip': recorded('mig-profiles'),
    'mig *-lgipp': { stdout: placements },
    'mig *-lgi': recorded('mig-gi'),
    'mig *-lci': recorded('mig-ci'),
    ...more,
  });
}

function driverOf(smi: ScriptedSmi, options: Partial<SmiDriverOptions> = {}): ReturnType<typeof createSmiDriver> {
  return createSmiDriver({ program: smi.program, limits: { queryMs: 5_000, mutateMs: 5_000 }, ...options });
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (thrown) {
    return thrown instanceof DriverFault ? thrown.code : `not a driver fault: ${String(thrown)}`;
  }
  return 'no fault';
}

describe('observing', () => {
  it('joins query, profiles, instances and UUIDs of a cut H100', async () => {
    using smi = mixed();

    const node = await driverOf(smi).observe(signal);

    expect(node.driverVersion).toBe('580.173.02');
    expect(node.gpus).toMatchObject([
      { uuid: h100, index: 0, model: 'NVIDIA H100 80GB HBM3', memoryMiB: 81559, migCapable: true, migEnabled: true, migPending: undefined },
    ]);
    expect(node.gpus[0]?.slices).toEqual([
      {
        profile: '3g.40gb',
        start: 0,
        size: 4,
        gpuInstanceId: 1,
        computeInstanceId: 0,
        migUuid: 'MIG-5ff0d535-9a82-5af6-80df-768b9d3ac092',
      },
      {
        profile: '1g.10gb+me',
        start: 4,
        size: 1,
        gpuInstanceId: 11,
        computeInstanceId: 0,
        migUuid: 'MIG-8443519f-66f7-5962-8955-60dba0866f3a',
      },
      {
        profile: '1g.10gb',
        start: 6,
        size: 1,
        gpuInstanceId: 13,
        computeInstanceId: 0,
        migUuid: 'MIG-ee6996fb-86fb-5405-83f0-b20887da1bb3',
      },
    ]);
    expect(node.gpus[0]?.profiles.find((own) => own.name === '2g.20gb')).toEqual({
      name: '2g.20gb',
      gpuInstanceProfileId: 14,
      computeSlices: 2,
      size: 2,
      starts: [0, 2, 4],
      instancesMax: 3,
      memoryMiB: 20091,
    });
  });

  it('reads what does not change only once', async () => {
    using smi = mixed();
    const driver = driverOf(smi);

    await driver.observe(signal);
    const before = smi.calls().length;
    await driver.observe(signal);

    expect(
      smi
        .calls()
        .slice(before)
        .map((call) => call.split(' ').at(-1)),
    ).toEqual(['--format=csv,noheader,nounits', '-lgi', '-lci', '-L']);
  });

  it('names only the one GPU it was asked about', async () => {
    using smi = mixed();

    await driverOf(smi).observeGpu(h100, signal);

    expect(smi.calls().filter((call) => !call.includes(`-i ${h100}`))).toEqual(['--help-query-gpu']);
  });

  it('leaves fields out that the driver does not know', async () => {
    using smi = mixed({
      '--help-query-gpu': { stdout: help.replaceAll('"mig.mode.pending"', '"gone"').replaceAll('"mig.mode.current"', '"gone"') },
    });
    smi.answer({ '*--query-gpu=index*': { stdout: `0, ${h100}, Tesla V100, 00000000:01:00.0, 16384, 418.87.01\n` } });

    const node = await driverOf(smi).observe(signal);

    expect(node.gpus).toMatchObject([{ model: 'Tesla V100', migCapable: false, migEnabled: false, profiles: [], slices: [] }]);
  });

  it('says no UUID rather than a wrong one when -L and -lci disagree', async () => {
    using smi = mixed({ '*-L': { stdout: fixture('prickle/h100-mig-mixed-20260729/gpus.txt').split('\n').slice(0, 3).join('\n') } });

    const node = await driverOf(smi).observe(signal);

    expect(node.gpus[0]?.slices.map((slice) => slice.migUuid)).toEqual([undefined, undefined, undefined]);
  });

  it('refuses a list of instances that was cut short, after asking again', async () => {
    using smi = mixed();
    smi.answer({ 'mig *-lgi': { stdout: fixture('prickle/h100-mig-mixed-20260729/mig-gi.txt').split('\n').slice(0, 8).join('\n') } });

    expect((await driverOf(smi).observe(signal)).gpus.find(({ uuid }) => uuid === h100)).toMatchObject({
      slices: [],
      shortfall: { faults: [{ code: 'unreadable-output' }], unplaced: expect.any(Array) },
    });
    expect(smi.calls().filter((call) => call === 'mig -lgi')).toHaveLength(2);
  });

  it('takes an answer that became readable at the second try', async () => {
    using smi = mixed();
    smi.answer({
      'mig *-lgip': {
        stdout: '',
        then: `if [ -e "${smi.path('once')}" ]; then cat "${smi.path('table')}"; exit 0; fi; touch "${smi.path('once')}"; echo "Failed to display GPU instance profiles: Unknown Error"; exit 255`,
      },
    });
    writeFileSync(smi.path('table'), fixture('prickle/h100-mig-mixed-20260729/mig-profiles.txt'));

    expect((await driverOf(smi).observe(signal)).gpus[0]?.profiles).toHaveLength(7);
  });

  it('keeps profiles empty on a driver that lists them only with MIG on, until it is on', async () => {
    using smi = mixed({ 'mig *-lgip': { stdout: 'No MIG-enabled devices found.\n', exit: 6 } });
    smi.answer({ '*--query-gpu=index*': { stdout: facts(h100, 0, 'Disabled') } });
    const driver = driverOf(smi);
    const off = await driver.observe(signal);

    smi.answer({
      '*--query-gpu=index*': { stdout: facts(h100, 0, 'Enabled') },
      'mig *-lgip': { stdout: fixture('prickle/h100-mig-mixed-20260729/mig-profiles.txt') },
    });
    const on = await driver.observe(signal);

    expect(off.gpus[0]?.profiles).toEqual([]);
    expect(on.gpus[0]?.profiles).toHaveLength(7);
  });

  it('knows an empty machine from a broken one', async () => {
    using smi = mixed({ '*--query-gpu=index*': { stdout: 'No devices were found\n', exit: 6 } });
    expect((await driverOf(smi).observe(signal)).gpus).toEqual([]);

    smi.answer({
      '*--query-gpu=index*': {
        stdout: "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure…\n",
        exit: 9,
      },
    });
    expect(await codeOf(driverOf(smi).observe(signal))).toBe('driver-unavailable');
    expect(await codeOf(createSmiDriver({ program: `${smi.program}-is-not-there` }).observe(signal))).toBe('driver-unavailable');
  });

  it('lists the others when one GPU is lost', async () => {
    using smi = mixed({ '*--query-gpu=index*': { stdout: facts(h100, 0, 'Disabled') + facts(other, 1, 'Disabled') } });
    const driver = driverOf(smi);
    await driver.observe(signal);
    const lost = { stdout: 'Unable to determine the device handle for GPU0000:CB:00.0: Unknown Error\n', exit: 255 };

    smi.answer({
      '*--query-gpu=index*': lost,
      '-i 0 --query-gpu=index*': { stdout: facts(h100, 0, 'Disabled') },
      '-i 1 --query-gpu=index*': lost,
    });
    const node = await driver.observe(signal);

    expect(node.gpus.map((gpu) => gpu.uuid)).toEqual([h100]);
    expect(await codeOf(driver.observeGpu(other, signal))).toBe('gpu-lost');
  });

  it('finds processes with the instance they are in, and leaves display servers out', async () => {
    const process = (gi: string, pid: number, type: string, memory: string): string =>
      `<process_info><gpu_instance_id>${gi}</gpu_instance_id><compute_instance_id>${gi}</compute_instance_id><pid>${pid}</pid><type>${type}</type><process_name>/a &amp; b</process_name><used_memory>${memory}</used_memory></process_info>`;
    const log = `<nvidia_smi_log><gpu id="00000000:01:00.0"><uuid>${h100}</uuid><processes>${process('2', 7, 'C', '2296 MiB')}${process('N/A', 8, 'M+C', 'N/A')}${process('N/A', 9, 'G', '4 MiB')}</processes></gpu></nvidia_smi_log>`;
    using smi = mixed({ '-q -x': { stdout: log } });

    expect(await driverOf(smi).observeProcesses(signal)).toEqual([
      { gpuUuid: h100, gpuInstanceId: 2, computeInstanceId: 2, pid: 7, name: '/a & b', usedMemoryMiB: 2296, type: 'compute' },
      {
        gpuUuid: h100,
        gpuInstanceId: undefined,
        computeInstanceId: undefined,
        pid: 8,
        name: '/a & b',
        usedMemoryMiB: undefined,
        type: 'mps-client',
      },
    ]);
  });
});

describe('changing', () => {
  it('creates a slice by the id its own device lists', async () => {
    using smi = mixed({
      'mig *-cgi*': { stdout: 'Successfully created GPU instance ID  2 on GPU  0 using profile MIG 3g.40gb (ID  9)\n' },
    });
    const driver = driverOf(smi);

    await driver.createSlice(h100, { profile: profile('3g.40gb'), start: 4 }, signal);

    expect(smi.calls().at(-1)).toBe(`mig -i ${h100} -cgi 9:4 -C`);
    expect(await codeOf(driver.createSlice(h100, { profile: profile('3g.20gb'), start: 4 }, signal))).toBe('unknown-profile');
  });

  it('destroys what is inside first, and goes on when that is gone already', async () => {
    using smi = mixed({
      'mig *-dci*': { stdout: 'No compute instances found: Not Found\n', exit: 6 },
      'mig *-dgi*': { stdout: 'Successfully destroyed GPU instance ID  3 from GPU  0\n' },
    });

    await driverOf(smi).destroySlice(h100, 3, signal);

    expect(smi.calls()).toEqual([`mig -i ${h100} -dci -gi 3`, `mig -i ${h100} -dgi -gi 3`]);
  });

  it('does not touch the GPU instance when a compute instance is in use', async () => {
    using smi = mixed({
      'mig *-dci*': {
        stdout:
          'Unable to destroy compute instance ID  0 from GPU  0 GPU instance ID  3: In use by another client\nFailed to destroy compute instances: In use by another client\n',
        exit: 19,
      },
    });

    expect(await codeOf(driverOf(smi).destroySlice(h100, 3, signal))).toBe('gpu-in-use');
    expect(smi.calls()).toHaveLength(1);
  });

  it.each([
    ['Enabled', 'Enabled', 'Enabled MIG Mode for GPU 00000000:01:00.0\nAll done.\n', 'done'],
    [
      'Disabled',
      'Enabled',
      'Warning: MIG mode is in pending enable state for GPU 00000000:01:00.0:In use by another client\nAll done.\n',
      'pending',
    ],
    ['Disabled', 'Enabled', 'Enabled MIG Mode for GPU 00000000:01:00.0\nAll done.\n', 'pending'],
  ])('believes the mode and not the text: now %s, then %s', async (current, pending, stdout, expected) => {
    using smi = mixed({ '*-mig 1': { stdout } });
    smi.answer({ '*--query-gpu=index*': { stdout: facts(h100, 0, current, pending) } });

    expect(await driverOf(smi).setMigMode(h100, true, signal)).toBe(expected);
  });

  it('fails a mode change that left everything as it was', async () => {
    using smi = mixed({ '*-mig 0': { stdout: 'All done.\n' } });

    expect(await codeOf(driverOf(smi).setMigMode(h100, false, signal))).toBe('failed');
  });

  it.each([
    [
      'Insufficient Resources',
      'Unable to create a GPU instance on GPU  0 using profile 9: Insufficient Resources\nFailed to create GPU instances: Insufficient Resources\n',
      23,
      'insufficient-resources',
    ],
    ['a refusal with exit 0', 'Unable to create a GPU instance on GPU  0 using profile 9: In use by another client\n', 0, 'gpu-in-use'],
    ['no rights', 'Failed to create GPU instances: Insufficient Permissions\n', 4, 'no-permission'],
    ['silence', '', 255, 'failed'],
  ])('tells %s', async (_name, stderr, exit, code) => {
    using smi = mixed({ 'mig *-cgi*': { stderr, exit } });

    expect(await codeOf(driverOf(smi).createSlice(h100, { profile: profile('3g.40gb'), start: 0 }, signal))).toBe(code);
  });

  it('refuses a reset of a GPU in use', async () => {
    using smi = mixed({
      '*--gpu-reset': {
        stdout:
          'GPU 00000000:C1:00.0 is currently in use by another process.\n\n1 device is currently being used by one or more other processes (e.g., Fabric Manager).\n',
        exit: 255,
      },
    });

    expect(await codeOf(driverOf(smi).resetGpu(h100, signal))).toBe('gpu-in-use');
  });

  it('tells of a reset that was done, and not of one that failed', async () => {
    using smi = mixed({ [`-i ${h100} --gpu-reset`]: { stdout: 'All done.\n' }, [`-i ${other} --gpu-reset`]: { exit: 255 } });
    const heard: string[] = [];
    const driver = createSmiDriver({ program: smi.program, onReset: (gpu) => heard.push(gpu) });

    await driver.resetGpu(h100, signal);

    expect(await codeOf(driver.resetGpu(other, signal))).toBe('failed');
    expect(heard).toEqual([h100]);
  });
});
