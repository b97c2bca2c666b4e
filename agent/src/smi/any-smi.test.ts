// An nvidia-smi that is not the one we know best: older, replayed from recordings, or without some of its commands.
import { type GpuUuid, parseGpuUuid } from '@astrago/shared/domain/ids';
import { describe, expect, it } from 'vitest';
import { DriverFault } from '../app/ports.ts';
import { createSmiDriver, type SmiDriver } from './driver.ts';
import { captured, fixture, sections, transcript } from './testing/fixtures.ts';
import { type Reply, type ScriptedSmi, scriptedSmi } from './testing/scripted-smi.ts';

const signal = new AbortController().signal;
const r450 = 'transcripts/a100-pcie-40gb-r450-7x1g.txt';
const h100Mig = 'captures/linux-x86_64__nvidia-h100-mig__590.48.01.txt';
const unknown: Reply = { stdout: "ERROR: Option is not recognized. Please run 'nvidia-smi -h' for help.\n", exit: 2 };

function driverOf(smi: ScriptedSmi): SmiDriver {
  return createSmiDriver({ program: smi.program });
}

function uuid(text: string): GpuUuid {
  const parsed = parseGpuUuid(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

function said(path: string, command: RegExp): string {
  const found = transcript(path).find((own) => command.test(own.command));
  if (found === undefined) throw new Error(`${path} holds no ${command}`);
  return found.text;
}

/** As drawn by the 450 series: narrow, and without places of compute instances. */
const r450Instances = `+----------------------------------------------------+
| GPU instances:                                     |
| GPU   Name          Profile  Instance   Placement  |
|                       ID       ID       Start:Size |
|====================================================|
${Array.from({ length: 7 }, (_, at) => `|   0  MIG 1g.5gb       19     ${String(at + 7).padStart(4)}          ${at}:1     |\n+----------------------------------------------------+\n`).join('')}`;
const r450Compute = `+-------------------------------------------------------+
| Compute instances:                                    |
| GPU     GPU       Name             Profile   Instance |
|       Instance                       ID        ID     |
|         ID                                            |
|=======================================================|
${Array.from({ length: 7 }, (_, at) => `|   0   ${String(at + 7).padStart(4)}       MIG 1g.5gb             0         0  |\n+-------------------------------------------------------+\n`).join('')}`;

describe('a driver of the 450 series', () => {
  it('is understood from -L to its slices, whose UUIDs name their instances', async () => {
    const list = said(r450, /^-L$/);
    const gpu = uuid(/UUID: (GPU-[0-9a-f-]+)\)/.exec(list)?.[1] ?? '');
    using smi = scriptedSmi({
      '*-lgip': { stdout: said(r450, /-lgip$/) },
      '*-lgipp': { stdout: said(r450, /-lgipp$/) },
      '*-lgi': { stdout: r450Instances },
      '*-lci': { stdout: r450Compute },
      '*-L': { stdout: list },
      '--help-query-gpu': {
        stdout:
          '"index"\n"name" or "gpu_name"\n"uuid" or "gpu_uuid"\n"pci.bus_id" or "gpu_bus_id"\n"memory.total"\n"mig.mode.current"\n"mig.mode.pending"\n"driver_version"\n',
      },
      '*--query-gpu=index*': { stdout: `0, ${gpu}, A100-PCIE-40GB, 00000000:01:00.0, 40536, Enabled, Enabled, 450.80.02\n` },
    });

    const [seen] = (await driverOf(smi).observe(signal)).gpus;

    expect(seen?.slices).toHaveLength(7);
    expect(seen?.slices.map((slice) => [slice.start, slice.size, slice.profile])).toEqual(
      Array.from({ length: 7 }, (_, start) => [start, 1, '1g.5gb']),
    );
    for (const slice of seen?.slices ?? []) expect(slice.migUuid).toBe(`MIG-${gpu}/${slice.gpuInstanceId}/${slice.computeInstanceId}`);
  });

  it('lists no profiles while MIG is off, which is no failure', async () => {
    const gpu = 'GPU-0069414c-9f30-41f9-d5d8-87890423f0c4';
    using smi = scriptedSmi({
      'mig *': { stdout: 'No MIG-enabled devices found.\n', exit: 6 },
      '--help-query-gpu': unknown,
      '--query-gpu=index*': { stdout: `0, ${gpu}, A100-PCIE-40GB, 00000000:01:00.0, 40536, Disabled, Disabled, 450.80.02\n` },
    });

    expect((await driverOf(smi).observe(signal)).gpus).toMatchObject([
      { uuid: gpu, migCapable: true, migEnabled: false, profiles: [], slices: [] },
    ]);
  });
});

describe('a replay of a recording', () => {
  it('that cannot be queried is read from its log', async () => {
    using smi = scriptedSmi({ '-q -x': { stdout: fixture('xml/k8s-test-infra-hw__qx-a100.xml') }, '*': unknown });
    smi.answer({ '-q -x': { stdout: fixture('xml/k8s-test-infra-hw__qx-a100.xml') } });
    const driver = driverOf(smi);

    const node = await driver.observe(signal);
    const [gpu] = node.gpus;

    expect(node.driverVersion).toMatch(/^\d+\.\d+/);
    expect(gpu).toMatchObject({ index: 0, migEnabled: false, model: expect.stringContaining('A100') });
    expect(gpu?.memoryMiB).toBeGreaterThan(40_000);
    expect((await driver.observeGpu(gpu?.uuid ?? uuid(''), signal)).uuid).toBe(gpu?.uuid);
  });

  it('with neither queries nor XML nor `mig` still has slices and who is in them', async () => {
    const load = sections(h100Mig).findLast((own) => /nvidia-smi -q$/.test(own.command))?.text ?? '';
    using smi = scriptedSmi({ '*': unknown });
    smi.answer({ '-q': { stdout: load }, '-L': { stdout: captured(h100Mig, /-L$/) } });
    const driver = driverOf(smi);

    const [gpu] = (await driver.observe(signal)).gpus;

    expect(gpu?.slices.map((own) => [own.gpuInstanceId, own.profile, own.start, own.size])).toEqual([
      [3, '2g.20gb', 0, 2],
      [9, '1g.10gb', 2, 1],
      [10, '1g.10gb', 3, 1],
      [2, '3g.40gb', 4, 4],
    ]);
    expect(gpu?.slices.every((own) => own.migUuid?.startsWith('MIG-'))).toBe(true);
    expect((await driver.observeProcesses(signal)).map((own) => [own.pid, own.gpuInstanceId, own.type])).toEqual([
      [21180, 2, 'compute'],
      [21181, 2, 'compute'],
      [21198, 2, 'compute'],
    ]);
  });

  it('that prints headers and units unasked is read all the same', async () => {
    const gpu = 'GPU-0d0831da-0c98-2717-6446-8acd91d39b65';
    using smi = scriptedSmi({
      '--help-query-gpu': unknown,
      '--query-gpu=index*': {
        stdout: `index, uuid, name, pci.bus_id, memory.total [MiB], mig.mode.current, mig.mode.pending, driver_version\r\n0, ${gpu}, NVIDIA L40S, 00000000:01:00.0, 46068 MiB, [N/A], [N/A], 595.80\r\n`,
      },
    });

    expect(await driverOf(smi).observe(signal)).toMatchObject({ driverVersion: '595.80', gpus: [{ uuid: gpu, memoryMiB: 46068 }] });
  });

  it('that only lists has GPUs of which nothing more is said', async () => {
    using smi = scriptedSmi({ '*': unknown });
    smi.answer({ '-L': { stdout: captured('captures/linux-x86_64__nvidia-l40s__595.80.txt', /-L$/) } });

    expect((await driverOf(smi).observe(signal)).gpus).toMatchObject([
      { model: 'NVIDIA L40S', memoryMiB: undefined, migCapable: false, slices: [] },
    ]);
  });

  it('gives samples, slices and processes at one moment, or says what is missing', async () => {
    const load = sections(h100Mig).findLast((own) => /nvidia-smi -q$/.test(own.command))?.text ?? '';
    using smi = scriptedSmi({ '*': unknown });
    smi.answer({ '-q': { stdout: load } });

    const moment = await driverOf(smi).telemetryOnce(signal);

    expect(moment.samples[0]?.values).toMatchObject({ power: 432.21, temperature: 53, 'pcie-replays': 9 });
    expect(moment.details?.slices.map((own) => own.values['memory-used'])).toEqual([11091, 17, 9, 9].map((mebi) => mebi * 1024 ** 2));
    expect(moment.faults).toMatchObject([{ message: expect.stringContaining('--query-gpu') }]);
  });

  it('that does nothing is called so', async () => {
    using smi = scriptedSmi({ '*': unknown });

    const thrown = await driverOf(smi)
      .observe(signal)
      .catch((fault: unknown) => fault);
    expect(thrown).toBeInstanceOf(DriverFault);
    expect(thrown).toMatchObject({ code: 'failed' });
  });
});

describe('an nvidia-smi that fails now and then', () => {
  it('is not second-guessed about its slices', async () => {
    const gpu = 'GPU-0d0831da-0c98-2717-6446-8acd91d39b65';
    using smi = scriptedSmi({
      '--help-query-gpu': unknown,
      '--query-gpu=index*': { stdout: `0, ${gpu}, NVIDIA H100 80GB HBM3, 00000000:01:00.0, 81559, Enabled, Enabled, 580.1\n` },
      'mig *': { stdout: 'No GPU instances found: Not Found\n', exit: 6 },
      '-q': { stdout: sections(h100Mig).findLast((own) => /nvidia-smi -q$/.test(own.command))?.text ?? '' },
      '-L': { stdout: captured(h100Mig, /-L$/) },
    });
    const driver = driverOf(smi);
    await driver.observe(signal);

    smi.answer({ 'mig -lgi': { stdout: 'Failed to display GPU instances: Unknown Error\n', exit: 255 } });

    const [seen] = (await driver.observe(signal)).gpus;
    expect(seen).toMatchObject({ migEnabled: true, slices: [], shortfall: { faults: [{ code: 'failed' }], unplaced: expect.any(Array) } });
    expect(await driver.observeGpu(uuid(gpu), signal).catch((fault: unknown) => fault)).toBeInstanceOf(DriverFault);
  });

  it.each([
    ['hangs', { then: "trap '' TERM; exec sleep 30" }, 'timed-out'],
    ['fails', { stderr: 'Unable to retrieve GPU instance profiles: Unknown Error\n', exit: 255 }, 'failed'],
  ] satisfies readonly (readonly [string, Reply, string])[])('is listed where its list of profiles %s', async (_what, reply, code) => {
    const [one, two] = ['GPU-0d0831da-0c98-2717-6446-8acd91d39b65', 'GPU-1d0831da-0c98-2717-6446-8acd91d39b65'];
    const line = (gpu: string, index: number): string =>
      `${index}, ${gpu}, NVIDIA H100 80GB HBM3, 00000000:0${index}:00.0, 81559, Disabled, Disabled, 580.1\n`;
    using smi = scriptedSmi({
      '--help-query-gpu': unknown,
      '*--query-gpu=index*': { stdout: line(one ?? '', 0) + line(two ?? '', 1) },
      'mig *-lgip': reply,
      [`mig -i ${two} -lgip`]: { stdout: said(r450, /-lgip$/).replaceAll('|   0 ', '|   1 ') },
      'mig *-lgipp': { stdout: said(r450, /-lgipp$/).replaceAll('GPU  0', 'GPU  1') },
    });
    const driver = createSmiDriver({ program: smi.program, limits: { queryMs: 300 } });

    const { gpus } = await driver.observe(signal);

    expect(gpus.map((gpu) => [gpu.uuid, gpu.memoryMiB])).toEqual([
      [one, 81559],
      [two, 81559],
    ]);
    expect(gpus[0]).toMatchObject({ profiles: [], shortfall: { faults: [{ code, message: expect.stringContaining('mig') }] } });
    expect(gpus[0]?.shortfall?.unplaced).toBeUndefined();
    // Of one that hangs the others are asked alone.
    if (code === 'timed-out') expect(gpus[1]).toMatchObject({ profiles: expect.arrayContaining([expect.anything()]) });
  });
});

describe('an nvidia-smi without a help text', () => {
  it('is asked for fewer fields after a few refusals, and the help text is not asked for again', async () => {
    const known = ['index', 'uuid', 'name', 'memory.total', 'memory.used', 'utilization.gpu', 'temperature.gpu', 'power.draw'];
    using smi = scriptedSmi({ '*': unknown });
    // Refuses the first field that it does not know, as a driver does.
    smi.answer({
      '--query-gpu=*': {
        then: `line=
for field in $(echo "$1" | sed 's/^--query-gpu=//; s/,/ /g'); do
  case "$field" in
    index) value=0;; uuid) value=GPU-0d0831da-0c98-2717-6446-8acd91d39b65;; name) value="NVIDIA L40S";;
    ${known.slice(3).join('|')}) value=40;;
    *) echo "Field \\"$field\\" is not a valid field to query."; exit 2;;
  esac
  line="$line, $value"
done
echo "\${line#, }"`.replaceAll('\\\\', '\\'),
      },
    });
    const driver = driverOf(smi);

    const [gpu] = (await driver.observe(signal)).gpus;
    const { samples } = await driver.telemetryOnce(signal);

    expect(gpu).toMatchObject({ model: 'NVIDIA L40S', memoryMiB: 40 });
    expect(samples[0]?.values).toEqual({
      'gpu-utilization': 0.4,
      'memory-total': 40 * 2 ** 20,
      'memory-used': 40 * 2 ** 20,
      temperature: 40,
      power: 40,
    });
    expect(smi.calls().filter((call) => call.startsWith('--query-gpu')).length).toBeLessThan(12);
    expect(smi.calls().filter((call) => call.startsWith('--help-query-gpu'))).toHaveLength(1);
  });
});
