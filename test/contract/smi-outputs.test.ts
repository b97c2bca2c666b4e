// Every recorded output of nvidia-smi through the agent's readers. What is expected is read out of the recordings a second
// time, by patterns that share nothing with the readers.
import { describe, expect, it } from 'vitest';
import type { GpuMeasure } from '../../agent/core/telemetry/sample.ts';
import { loggedProcesses } from '../../agent/src/smi/device-processes.ts';
import { resolveFields } from '../../agent/src/smi/fields/resolve.ts';
import { Documents } from '../../agent/src/smi/loop/documents.ts';
import { parseComputeApps } from '../../agent/src/smi/parse-compute-apps.ts';
import { type LoggedGpu, parseDeviceLog } from '../../agent/src/smi/parse-device-log.ts';
import { parseDeviceText } from '../../agent/src/smi/parse-device-text.ts';
import { parseGpuList } from '../../agent/src/smi/parse-gpu-list.ts';
import { parseQueryFields } from '../../agent/src/smi/parse-query-fields.ts';
import { parseSamples } from '../../agent/src/smi/parse-samples.ts';
import type { Parsed } from '../../agent/src/smi/parsed.ts';
import { processTypeOf } from '../../agent/src/smi/process-type.ts';
import { captured, fixture, fixturePaths, sections } from '../../agent/src/smi/testing/fixtures.ts';

function readable<T>(answer: Parsed<T>): T {
  if (answer.kind === 'unreadable') throw new Error(`${answer.reason}: ${answer.line}`);
  return answer.value;
}

const mebi = 1024 ** 2;

/** What a log prints below a block, the first time; absent where it is not a number with this unit. */
function printed(gpu: string, block: string, element: string, unit: string): number | undefined {
  const inside = block === '' ? gpu : (new RegExp(`<${block}>([\\s\\S]*?)</${block}>`).exec(gpu)?.[1] ?? '');
  const text = new RegExp(`<${element}>(-?[0-9.]+)${unit}</${element}>`).exec(inside)?.[1];
  return text === undefined ? undefined : Number(text);
}

const withoutSlices = (gpu: string): string =>
  gpu.replace(/<mig_device>[\s\S]*?<\/mig_device>/g, '').replace(/<supported_clocks>[\s\S]*?<\/supported_clocks>/g, '');

/** Measures as a plain reading of one GPU's log gives them. */
function expected(gpu: string): Partial<Record<GpuMeasure, number | undefined>> {
  const times = (value: number | undefined, factor: number): number | undefined => (value === undefined ? undefined : value * factor);
  const share = (value: number | undefined): number | undefined => (value === undefined || value > 100 ? undefined : value / 100);
  const flag = (element: string): number | undefined => {
    const word = new RegExp(`<${element}>(.*?)</${element}>`).exec(gpu)?.[1];
    return word === 'Active' || word === 'Yes' ? 1 : word === 'Not Active' || word === 'No' ? 0 : undefined;
  };
  const powerBlock = gpu.includes('<gpu_power_readings>') ? 'gpu_power_readings' : 'power_readings';
  return {
    'gpu-utilization': share(printed(gpu, 'utilization', 'gpu_util', ' %')),
    'memory-utilization': share(printed(gpu, 'utilization', 'memory_util', ' %')),
    'memory-total': times(printed(gpu, 'fb_memory_usage', 'total', ' MiB'), mebi),
    'memory-used': times(printed(gpu, 'fb_memory_usage', 'used', ' MiB'), mebi),
    'memory-free': times(printed(gpu, 'fb_memory_usage', 'free', ' MiB'), mebi),
    'memory-reserved': times(printed(gpu, 'fb_memory_usage', 'reserved', ' MiB'), mebi),
    temperature: printed(gpu, 'temperature', 'gpu_temp', ' C'),
    'memory-temperature': printed(gpu, 'temperature', 'memory_temp', ' C'),
    'fan-speed': share(printed(gpu, '', 'fan_speed', ' %')),
    power:
      printed(gpu, powerBlock, 'average_power_draw', ' W') ??
      printed(gpu, powerBlock, 'power_draw', ' W') ??
      printed(gpu, powerBlock, 'instant_power_draw', ' W'),
    'performance-state': Number(/<performance_state>P(\d+)</.exec(gpu)?.[1] ?? Number.NaN),
    'sm-clock': times(printed(gpu, 'clocks', 'sm_clock', ' MHz'), 1e6),
    'memory-clock-max': times(printed(gpu, 'max_clocks', 'mem_clock', ' MHz'), 1e6),
    'pcie-width': printed(gpu, 'link_widths', 'current_link_width', 'x'),
    'pcie-generation-max': printed(gpu, 'pcie_gen', 'max_link_gen', ''),
    'pcie-replays': printed(gpu, 'pci', 'replay_counter', ''),
    'pcie-sent': times(printed(gpu, 'pci', 'tx_util', ' KB/s'), 1000),
    'row-remap-pending': flag('remapped_row_pending'),
    'row-remap-failure': flag('remapped_row_failure'),
    'retired-pages-pending': flag('pending_retirement') ?? flag('pending_blacklist'),
    'slowed-by-power-cap': flag('clocks_event_reason_sw_power_cap') ?? flag('clocks_throttle_reason_sw_power_cap'),
  };
}

function expectSound(gpu: LoggedGpu): void {
  for (const [measure, value] of Object.entries(gpu.values)) {
    expect(Number.isFinite(value), `${measure} is ${value}`).toBe(true);
    if (measure !== 'temperature-margin' && !measure.includes('temperature')) expect(value).toBeGreaterThanOrEqual(0);
    if (measure.endsWith('utilization') || measure === 'fan-speed') expect(value).toBeLessThanOrEqual(1);
  }
}

const logs = [...fixturePaths('xml'), ...fixturePaths('xml-mock')];

describe('-q -x', () => {
  it.each(logs)('%s is read as it is printed', (path) => {
    const text = fixture(path);
    const log = readable(parseDeviceLog(text));
    const blocks = [...text.matchAll(/<gpu id="([^"]*)">([\s\S]*?)<\/gpu>/g)];

    expect(log.driverVersion).toBe(/<driver_version>(.*?)</.exec(text)?.[1]);
    expect(log.gpus.map((gpu) => [gpu.pciBusId, gpu.uuid])).toEqual(
      blocks.map(([, id, body]) => [id, /<uuid>(.*?)</.exec(body ?? '')?.[1]]),
    );
    for (const [at, gpu] of log.gpus.entries()) {
      const block = withoutSlices(blocks[at]?.[2] ?? '');
      for (const [measure, value] of Object.entries(expected(block)) as [GpuMeasure, number | undefined][]) {
        expect(gpu.values[measure], `${measure} of GPU ${at}`).toBe(Number.isNaN(value) ? undefined : value);
      }
      expectSound(gpu);
      expect(gpu.processes.map((own) => own.pid)).toEqual([...block.matchAll(/<pid>(\d+)</g)].map(([, pid]) => Number(pid)));
      expect(gpu.words.computeMode).toBe('default');
    }
  });

  it.each(logs)('%s is found again in a stream of them, whatever the chunks', (path) => {
    const text = fixture(path).trim();
    const documents = new Documents();
    const stream = `${text}\n\n${text.replaceAll('\n', '\r\n')}\r\n`;
    const size = Math.ceil(stream.length / 37);
    const found = Array.from({ length: 37 }, (_, at) => documents.push(stream.slice(at * size, (at + 1) * size))).flat();

    expect(found.map((one) => one.kind)).toEqual(['round', 'round']);
    const read = found.map((one) => (one.kind === 'round' ? readable(parseDeviceLog(one.round)) : undefined));
    expect(read[0]).toEqual(readable(parseDeviceLog(text)));
    expect(read[1]?.gpus.map((gpu) => gpu.values)).toEqual(read[0]?.gpus.map((gpu) => gpu.values));
  });

  it('says nothing that a lost GPU does not say', () => {
    const lost = readable(parseDeviceLog(fixture('xml-mock/k8s-test-infra-mock__qx-gb200-lost.xml'))).gpus.at(-1);

    expect(lost?.values).not.toHaveProperty('temperature');
    expect(lost?.values).not.toHaveProperty('memory-used');
    expect(lost?.values).not.toHaveProperty('ecc-uncorrected');
    expect(lost?.words.fabricState).toBeUndefined();
  });

  it('sums what Turing and later count apart', () => {
    const [first] = readable(parseDeviceLog(fixture('xml-mock/k8s-test-infra-mock__qx-gb200-ecc-injected.xml'))).gpus;

    expect(first?.values['ecc-uncorrected']).toBe(5);
    expect(first?.values['ecc-uncorrected-lifetime']).toBe(8);
    expect(first?.values['row-remap-failure']).toBe(1);
  });
});

/** Two commands of a capture are some milliseconds apart, which these do not notice. */
const steady: readonly GpuMeasure[] = [
  'memory-total',
  'memory-reserved',
  'power-limit',
  'performance-state',
  'sm-clock-max',
  'memory-clock-max',
  'slowed-by-thermal',
  'slowed-by-power-brake',
  'thermal-slowdown-time',
  'ecc-corrected',
  'ecc-uncorrected',
  'ecc-corrected-lifetime',
  'ecc-uncorrected-lifetime',
  'remapped-rows-correctable',
  'remapped-rows-uncorrectable',
  'row-remap-pending',
  'row-remap-failure',
  'retired-pages-single-bit',
  'retired-pages-pending',
  'pcie-generation-max',
  'pcie-width',
  'pcie-width-max',
  'encoder-sessions',
];
const restless: readonly GpuMeasure[] = [
  'gpu-utilization',
  'memory-utilization',
  'decoder-utilization',
  'jpeg-utilization',
  'memory-used',
  'temperature',
  'temperature-margin',
  'memory-temperature',
  'fan-speed',
  'power',
  'sm-clock',
  'memory-clock',
  'power-cap-time',
];

describe('captures', () => {
  it.each(fixturePaths('captures'))('%s: --query-gpu and -q agree, with Windows line ends too', (path) => {
    const known = readable(parseQueryFields(captured(path, /--help-query-gpu$/)));
    const queries = sections(path).filter((own) => own.command.includes('--query-gpu='));
    const texts = sections(path).filter((own) => /nvidia-smi -q$/.test(own.command));
    expect(queries.length).toBe(2);
    for (const [at, query] of queries.entries()) {
      const columns = /--query-gpu=(\S+)/.exec(query.command)?.[1]?.split(',') ?? [];
      const [sample] = readable(parseSamples(query.text, columns));
      const log = readable(parseDeviceText(texts[at]?.text ?? ''));
      const [logged] = log.gpus;

      expect(sample?.gpuUuid).toBe(logged?.uuid);
      expect(log.driverVersion).toBe(sample?.driverVersion);
      for (const measure of steady) {
        // 610 says No where there is no ECC, in the query only.
        if (measure in (logged?.values ?? {}) || measure in (sample?.values ?? {}))
          expect([measure, sample?.values[measure]]).toEqual([measure, logged?.values[measure]]);
      }
      for (const measure of restless)
        expect([measure, sample?.values[measure] === undefined]).toEqual([measure, logged?.values[measure] === undefined]);
      expect(sample?.words).toEqual(logged?.words);
      // N/A in the row is absent in the sample: nothing comes from nowhere.
      const cells = query.text.trim().split('\n').at(-1)?.split(',') ?? [];
      const cell = (name: string): string => (cells[columns.indexOf(name)] ?? '').trim();
      expect(sample?.values['gpu-utilization']).toBe(
        /^\d+ %$/.test(cell('utilization.gpu')) ? Number.parseInt(cell('utilization.gpu'), 10) / 100 : undefined,
      );
      expect(sample?.values['memory-used']).toBe(Number.parseInt(cell('memory.used'), 10) * mebi);
      expect(sample?.values.temperature).toBe(Number(cell('temperature.gpu')));
      expect(sample?.values.power).toBe(Number.parseFloat(cell('power.draw')));
      expect(sample?.values['memory-temperature']).toBe(
        cell('temperature.memory') === 'N/A' ? undefined : Number(cell('temperature.memory')),
      );
      if (logged !== undefined) expectSound(logged);

      // The same without header, without units, with other line ends, with columns in another order.
      const [header = '', row = ''] = query.text.trim().split('\n');
      expect(readable(parseSamples(`${row}\r\n`, columns))[0]?.values).toEqual(sample?.values);
      const bare = row.replaceAll(/(?<=\d) (?:MiB|W|MHz|us|%|ms)(?=,|$)/g, '');
      expect(readable(parseSamples(bare, columns))[0]?.values).toEqual(sample?.values);
      const turned = [header, row].map((line) => line.split(', ').toReversed().join(', ')).join('\r\n');
      expect(readable(parseSamples(turned, columns))[0]).toMatchObject({ values: sample?.values, words: sample?.words });
      expect(readable(parseDeviceText((texts[at]?.text ?? '').replaceAll('\n', '\r\n'))).gpus[0]?.values).toEqual(logged?.values);
    }
    const resolved = resolveFields(known);
    expect(resolved.columns.every((name) => known.has(name))).toBe(true);
    expect(resolved.support.filter((own) => !own.supported).map((own) => own.field)).toEqual(['energy']);
  });

  it.each(fixturePaths('captures'))('%s: compute apps and -q name the same processes', (path) => {
    const apps = sections(path).filter((own) => own.command.includes('--query-compute-apps='));
    const texts = sections(path).filter((own) => /nvidia-smi -q$/.test(own.command));
    for (const [at, section] of apps.entries()) {
      const columns = /--query-compute-apps=(\S+)/.exec(section.command)?.[1]?.split(',') ?? [];
      const listed = readable(parseComputeApps(section.text, columns));
      const logged = loggedProcesses(readable(parseDeviceText(texts[at]?.text ?? '')).gpus);
      const byPid = (a: { readonly pid: number }, b: { readonly pid: number }): number => a.pid - b.pid;

      expect(listed.length).toBe(section.text.trim().split('\n').length - 1);
      expect(listed.toSorted(byPid).map((own) => own.pid)).toEqual(logged.toSorted(byPid).map((own) => own.pid));
      for (const app of listed) expect(app.usedMemoryMiB === undefined || app.usedMemoryMiB > 0).toBe(true);
    }
  });

  it('say in which instance a process is, and what a slice holds', () => {
    const path = 'captures/linux-x86_64__nvidia-h100-mig__590.48.01.txt';
    const load = sections(path).findLast((own) => /nvidia-smi -q$/.test(own.command));
    const [gpu] = readable(parseDeviceText(load?.text ?? '')).gpus;
    const [listed] = readable(parseGpuList(captured(path, /-L$/)));

    expect(gpu?.migMode).toBe('enabled');
    expect(gpu?.processes.map(({ pid, gpuInstanceId, computeInstanceId }) => [pid, gpuInstanceId, computeInstanceId])).toEqual([
      [21180, 2, 0],
      [21181, 2, 0],
      [21198, 2, 0],
    ]);
    expect(gpu?.migDevices.map((own) => [own.index, own.gpuInstanceId, own.values.multiprocessors, own.values['memory-used']])).toEqual([
      [0, 2, 60, 11091 * mebi],
      [1, 3, 32, 17 * mebi],
      [2, 9, 16, 9 * mebi],
      [3, 10, 16, 9 * mebi],
    ]);
    expect(listed?.devices.length).toBe(gpu?.migDevices.length);
  });
});

describe('rows without a header', () => {
  const columns = ['index', 'uuid', 'name', 'utilization.gpu', 'memory.used', 'memory.total', 'temperature.gpu', 'power.draw'];

  it.each(fixturePaths('prickle').filter((path) => path.endsWith('query-gpu.csv')))('%s', (path) => {
    const cells = fixture(path).trim().split(', ');
    const [row] = readable(parseSamples(fixture(path), columns));

    expect(row?.gpuUuid).toBe(cells[1]);
    expect(row?.values).toEqual({
      ...(path.includes('mig') ? {} : { 'gpu-utilization': Number(cells[3]) / 100 }),
      'memory-used': Number(cells[4]) * mebi,
      'memory-total': Number(cells[5]) * mebi,
      temperature: Number(cells[6]),
      power: Number(cells[7]),
    });
  });

  it.each(fixturePaths('prickle').filter((path) => path.endsWith('query-compute-apps.csv')))('%s', (path) => {
    const lines = fixture(path)
      .split('\n')
      .filter((line) => line.trim() !== '');
    const apps = readable(parseComputeApps(fixture(path), ['gpu_uuid', 'pid', 'process_name', 'used_gpu_memory']));

    expect(apps.map((app) => `${app.gpuUuid}, ${app.pid}, ${app.name}, ${app.usedMemoryMiB}`)).toEqual(lines);
  });
});

describe('process types', () => {
  it.each([
    ['C', 'python', 'compute'],
    ['G', 'Xorg', 'graphics'],
    ['C+G', 'blender', 'compute-and-graphics'],
    ['M+C', 'python', 'mps-client'],
    ['C', 'nvidia-cuda-mps-server', 'mps-server'],
    ['C', '/usr/bin/nvidia-cuda-mps-server', 'mps-server'],
    ['C', '/home-made/not-nvidia-cuda-mps-server', 'compute'],
    [undefined, 'python', undefined],
    ['N/A', 'python', undefined],
    ['X', 'python', undefined],
  ])('%j of %s is %s', (type, name, found) => {
    expect(processTypeOf(type, name)).toBe(found);
  });
});
