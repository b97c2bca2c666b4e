import { describe, expect, it } from 'vitest';
import { factFields, parseGpuFacts } from './gpu-facts.ts';
import { parseComputeInstances } from './parse-compute-instances.ts';
import { parseDeviceLog } from './parse-device-log.ts';
import { parseGpuInstanceProfiles } from './parse-gpu-instance-profiles.ts';
import { parseGpuInstances } from './parse-gpu-instances.ts';
import { parseGpuList } from './parse-gpu-list.ts';
import { parsePossiblePlacements } from './parse-possible-placements.ts';
import { parseQueryFields } from './parse-query-fields.ts';
import { parseQueryRows } from './parse-query-rows.ts';
import type { Parsed } from './parsed.ts';
import { printedMode, printedNumber } from './printed-value.ts';
import { captured, fixture, fixturePaths, sections, transcript } from './testing/fixtures.ts';

function readable<T>(answer: Parsed<T>): T {
  if (answer.kind === 'unreadable') throw new Error(`${answer.reason}: ${answer.line}`);
  return answer.value;
}

/** Every recorded output of a command line, with where it is from. */
function recorded(command: RegExp): readonly (readonly [string, string])[] {
  const found: (readonly [string, string])[] = [];
  for (const path of fixturePaths('transcripts')) {
    for (const [at, own] of transcript(path).entries())
      if (command.test(`nvidia-smi ${own.command}`)) found.push([`${path} (${at})`, own.text]);
  }
  for (const path of fixturePaths('captures')) {
    for (const own of sections(path)) if (command.test(own.command)) found.push([path, own.text]);
  }
  return found;
}

const captures = fixturePaths('captures');
const mixed = 'prickle/h100-mig-mixed-20260729';

describe('-L', () => {
  it.each([
    ...recorded(/nvidia-smi -L$/),
    ...['default', 'mig', 'mig-mixed'].map((own) => [own, fixture(`prickle/h100-${own}-20260729/gpus.txt`)] as const),
  ])('reads %s', (_path, text) => {
    const gpus = readable(parseGpuList(text));

    expect(gpus.length).toBeGreaterThan(0);
    expect(gpus.flatMap((gpu) => gpu.devices).length).toBe(text.split('\n').filter((line) => /^\s+MIG/.test(line)).length);
  });

  it('keeps UUIDs of the first drivers, which name the instances', () => {
    const [gpu] = readable(parseGpuList(recorded(/nvidia-smi -L$/).find(([path]) => path.includes('r450'))?.[1] ?? ''));

    expect(gpu?.name).toBe('A100-PCIE-40GB');
    expect(gpu?.devices[3]).toEqual({ index: 3, profileName: '1g.5gb', uuid: 'MIG-GPU-0069414c-9f30-41f9-d5d8-87890423f0c4/10/0' });
  });

  it('reads a name that fills its column, and a GPU name with brackets and commas', () => {
    const text =
      'GPU 0: Odd (rev. 2), 80GB (UUID: GPU-0d0831da-0c98-2717-6446-8acd91d39b65)\n  MIG 1c.2g.48gb+me.allDevice 10: (UUID: MIG-5ff0d535-9a82-5af6-80df-768b9d3ac092)\n';

    expect(readable(parseGpuList(text))).toMatchObject([
      { name: 'Odd (rev. 2), 80GB', devices: [{ index: 10, profileName: '1c.2g.48gb+me.all' }] },
    ]);
  });

  it('leaves a lost GPU out, and refuses a line that was cut', () => {
    const whole = fixture(`${mixed}/gpus.txt`);

    expect(readable(parseGpuList(`${whole}Unable to determine the device handle for GPU0000:CB:00.0: Unknown Error\n`))).toHaveLength(1);
    expect(parseGpuList(whole.slice(0, -30)).kind).toBe('unreadable');
  });
});

describe('mig -lgip', () => {
  it.each([
    ...recorded(/mig .*-lgip$/).filter(([path]) => !path.includes('maxq')),
    ['H100', fixture(`${mixed}/mig-profiles.txt`)] as const,
  ])('reads %s', (_path, text) => {
    const rows = readable(parseGpuInstanceProfiles(text));

    expect(rows.length).toBeGreaterThanOrEqual(5);
    for (const row of rows) expect(row.free).toBeLessThanOrEqual(row.total);
  });

  it('reads names with plus, minus and dot', () => {
    const text = recorded(/mig .*-lgip$/).find(([path]) => path.includes('rtx-pro-6000-server'))?.[1] ?? '';

    expect(readable(parseGpuInstanceProfiles(text)).map((row) => row.profileName)).toEqual([
      '1g.24gb',
      '1g.24gb+me',
      '1g.24gb+gfx',
      '1g.24gb+me.all',
      '1g.24gb-me',
      '2g.48gb',
      '2g.48gb+gfx',
      '2g.48gb+me.all',
      '2g.48gb-me',
      '4g.96gb',
      '4g.96gb+gfx',
    ]);
  });

  it('reads one row whole', () => {
    expect(readable(parseGpuInstanceProfiles(fixture(`${mixed}/mig-profiles.txt`)))[0]).toEqual({
      gpuIndex: 0,
      profileName: '1g.10gb',
      profileId: 19,
      free: 1,
      total: 7,
      memoryGiB: 9.75,
    });
  });
});

describe('mig -lgipp', () => {
  it.each(recorded(/mig .*-lgipp$/))('reads %s', (_path, text) => {
    const rows = readable(parsePossiblePlacements(text));

    expect(rows.at(-1)?.starts).toEqual([0]);
    expect(rows.find((row) => row.profileId === 14)?.starts.length).toBeGreaterThan(1);
  });
});

describe('mig -lgi', () => {
  it.each([...recorded(/mig .*-lgi$/), ['H100', fixture(`${mixed}/mig-gi.txt`)] as const])('reads %s', (_path, text) => {
    expect(readable(parseGpuInstances(text)).length).toBe(text.split('\n').filter((line) => / MIG /.test(line)).length);
  });

  it.each(['No MIG-enabled devices found.\n', 'No GPU instances found: Not Found\n'])('takes %j for none', (text) => {
    expect(readable(parseGpuInstances(text))).toEqual([]);
    expect(readable(parseComputeInstances(text))).toEqual([]);
  });

  it('takes nothing else for none', () => {
    for (const text of ['', '\n', 'No GPU instances found: Insufficient Permissions', 'Failed to display GPU instances: Unknown Error']) {
      expect(parseGpuInstances(text).kind).toBe('unreadable');
    }
  });

  it('refuses a table that was cut anywhere between its rows', () => {
    const lines = fixture(`${mixed}/mig-gi.txt`).trim().split('\n');
    for (let kept = 0; kept < lines.length; kept += 1) {
      const cutAtBorder = kept > 6 && kept % 2 === 1;
      expect(parseGpuInstances(lines.slice(0, kept).join('\n')).kind, `${kept} lines`).toBe(cutAtBorder ? 'parsed' : 'unreadable');
    }
  });
});

describe('mig -lci', () => {
  it.each([...recorded(/mig .*-lci\b/), ['H100', fixture(`${mixed}/mig-ci.txt`)] as const])('reads %s', (_path, text) => {
    expect(readable(parseComputeInstances(text)).length).toBe(text.split('\n').filter((line) => / MIG /.test(line)).length);
  });

  it('reads a part of a GPU instance', () => {
    expect(readable(parseComputeInstances(fixture(`${mixed}/mig-ci.txt`)))[1]).toEqual({
      gpuIndex: 0,
      gpuInstanceId: 1,
      profileName: '1c.3g.40gb',
      profileId: 0,
      computeInstanceId: 0,
    });
  });
});

describe('--query-gpu', () => {
  it('takes silence for no answer, not for a machine without GPUs', () => {
    expect(parseQueryRows('', ['index', 'uuid']).kind).toBe('unreadable');
    expect(parseQueryRows('\n', ['index', 'uuid']).kind).toBe('unreadable');
    expect(readable(parseQueryRows('GPU is lost\n', ['index', 'uuid']))).toEqual([]);
  });

  it.each(captures)('reads every field of %s', (path) => {
    const known = readable(parseQueryFields(captured(path, /--help-query-gpu$/)));
    for (const section of sections(path).filter((own) => own.command.includes('--query-gpu='))) {
      const fields = /--query-gpu=(\S+)/.exec(section.command)?.[1]?.split(',') ?? [];
      const [header, ...rows] = readable(parseQueryRows(section.text, fields));

      expect(rows.length).toBeGreaterThan(0);
      expect(fields.filter((field) => !known.has(field))).toEqual([]);
      // A header names the field, or its other name, and the unit.
      expect(fields.filter((field) => !known.has(header?.[field]?.split(' ')[0] ?? ''))).toEqual([]);
      for (const row of rows) for (const cell of Object.values(row)) expect(printedNumber(cell)).not.toBeNaN();
    }
  });

  it('knows aliases', () => {
    const known = readable(parseQueryFields(captured(captures.find((path) => path.includes('h100-mig')) ?? '', /--help-query-gpu$/)));

    for (const name of [...factFields, 'gpu_name', 'clocks_throttle_reasons.active', 'clocks_event_reasons.active'])
      expect(known.has(name)).toBe(true);
    expect(known.size).toBeGreaterThan(200);
  });

  it('counts cells from both ends when the name has commas', () => {
    const text = '0, GPU-0d0831da-0c98-2717-6446-8acd91d39b65, Odd, Model, 80GB, 00000000:01:00.0, 81559, Enabled, Enabled, 580.1\n';

    expect(readable(parseGpuFacts(text, factFields))).toMatchObject([
      { index: 0, model: 'Odd, Model, 80GB', memoryMiB: 81559, migMode: 'enabled', driverVersion: '580.1' },
    ]);
  });

  it('tells a device without MIG from one whose mode is not to be had', () => {
    const line = (mode: string): string =>
      `0, GPU-0d0831da-0c98-2717-6446-8acd91d39b65, A2, 00000000:01:00.0, [N/A], ${mode}, ${mode}, 580.1\n`;

    expect(readable(parseGpuFacts(line('[N/A]'), factFields))).toMatchObject([{ migMode: 'not-offered', memoryMiB: undefined }]);
    expect(readable(parseGpuFacts(line('[GPU is lost]'), factFields))).toEqual([]);
    expect(parseGpuFacts(line('Enbled'), factFields).kind).toBe('unreadable');
    expect(['[N/A]', 'N/A', '[Not Supported]', ''].map(printedMode)).toEqual(['not-offered', 'not-offered', 'not-offered', 'unknown']);
  });
});

describe('single values', () => {
  it.each([
    ['81559 MiB', 81559],
    ['81559', 81559],
    ['631.95 W', 631.95],
    ['-12', -12],
    ['100 %', 100],
    ['0', 0],
    ['[N/A]', undefined],
    ['N/A', undefined],
    ['', undefined],
    ['[Unknown Error]', undefined],
    ['[Function Not Found]', undefined],
    ['[Requested functionality has been deprecated]', undefined],
    ['0x0', undefined],
    ['1e3', undefined],
    ['12 GB', undefined],
    ['Infinity', undefined],
    ['1.', undefined],
  ])('%j is %j', (text, value) => {
    expect(printedNumber(text)).toBe(value);
  });
});

describe('-q -x', () => {
  it.each([...fixturePaths('xml'), ...fixturePaths('xml-mock')])('reads %s', (path) => {
    const text = fixture(path);
    const log = readable(parseDeviceLog(text));

    expect(log.gpus).toHaveLength(text.match(/<gpu id=/g)?.length ?? 0);
    expect(log.gpus.flatMap((gpu) => gpu.processes)).toHaveLength(text.match(/<process_info>/g)?.length ?? 0);
    expect(log.gpus.map((gpu) => gpu.migMode)).not.toContain('unknown');
  });

  it('reads MIG devices and who runs in them', () => {
    const text = `<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v11.dtd">
<nvidia_smi_log><driver_version>510.47.03</driver_version><attached_gpus>1</attached_gpus>
<gpu id="00000000:36:00.0"><product_name>NVIDIA A100-SXM4-40GB</product_name><uuid>GPU-e86cb44c-6756-fd30-cd4a-1e6da3caf9b0</uuid>
<mig_mode><current_mig>Enabled</current_mig><pending_mig>Enabled</pending_mig></mig_mode>
<mig_devices><mig_device><index>0</index><gpu_instance_id>1</gpu_instance_id><compute_instance_id>0</compute_instance_id>
<fb_memory_usage><total>19968 MiB</total><used>19 MiB</used></fb_memory_usage></mig_device></mig_devices>
<processes><process_info><gpu_instance_id>1</gpu_instance_id><compute_instance_id>0</compute_instance_id><pid>4711</pid><type>C</type><process_name>python</process_name><used_memory>17 MiB</used_memory></process_info></processes>
</gpu></nvidia_smi_log>`;

    expect(readable(parseDeviceLog(text))).toEqual({
      driverVersion: '510.47.03',
      gpus: [
        {
          uuid: 'GPU-e86cb44c-6756-fd30-cd4a-1e6da3caf9b0',
          pciBusId: '00000000:36:00.0',
          model: 'NVIDIA A100-SXM4-40GB',
          migMode: 'enabled',
          migPendingMode: 'enabled',
          isLost: false,
          memoryMiB: undefined,
          values: {},
          words: {},
          migDevices: [
            {
              index: 0,
              gpuInstanceId: 1,
              computeInstanceId: 0,
              values: { 'memory-total': 19968 * 1024 ** 2, 'memory-used': 19 * 1024 ** 2 },
            },
          ],
          processes: [{ pid: 4711, type: 'C', name: 'python', gpuInstanceId: 1, computeInstanceId: 0, usedMemoryMiB: 17 }],
        },
      ],
    });
    const nasty = text.replace(
      '<process_name>python</process_name>',
      '\n<process_name>a&b</process_name></process_info><process_info><pid>1</pid><process_name>&lt;c></process_name>\n',
    );
    expect(readable(parseDeviceLog(nasty)).gpus[0]?.processes.map((own) => own.name)).toEqual([
      'a&b</process_name></process_info><process_info><pid>1</pid><process_name><c>',
    ]);
    expect(parseDeviceLog(text.replace('<pid>4711</pid>', '<pid>[N/A]</pid>')).kind).toBe('unreadable');
    expect(parseDeviceLog(text.slice(0, -20)).kind).toBe('unreadable');
  });
});
