// Outputs that nobody has recorded for us, made from those that were: other drivers, products and misfortunes.
import { describe, expect, it } from 'vitest';
import { loggedProcesses } from '../../agent/src/smi/device-processes.ts';
import { resolveFields } from '../../agent/src/smi/fields/resolve.ts';
import { parseComputeApps } from '../../agent/src/smi/parse-compute-apps.ts';
import { parseDeviceLog } from '../../agent/src/smi/parse-device-log.ts';
import { parseGpuList } from '../../agent/src/smi/parse-gpu-list.ts';
import { parseQueryFields } from '../../agent/src/smi/parse-query-fields.ts';
import { parseSamples } from '../../agent/src/smi/parse-samples.ts';
import type { Parsed } from '../../agent/src/smi/parsed.ts';
import { captured, fixture } from '../../agent/src/smi/testing/fixtures.ts';

function readable<T>(answer: Parsed<T>): T {
  if (answer.kind === 'unreadable') throw new Error(`${answer.reason}: ${answer.line}`);
  return answer.value;
}

const mebi = 1024 ** 2;
const uuid = (index: number): string => `GPU-0d0831da-0c98-2717-6446-8acd91d39b${index.toString(16).padStart(2, '0')}`;

function log(inside: string, processes = ''): string {
  return `<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">
<nvidia_smi_log>
	<driver_version>550.144.03</driver_version>
	<attached_gpus>1</attached_gpus>
	<gpu id="00000000:01:00.0">
		<uuid>${uuid(0)}</uuid>
${inside}
		<processes>
${processes}
		</processes>
	</gpu>
</nvidia_smi_log>
`;
}

function process(fields: Readonly<Record<string, string>>): string {
  const inside = Object.entries(fields).map(([name, value]) => `\t\t\t\t<${name}>${value}</${name}>`);
  return `\t\t\t<process_info>\n${inside.join('\n')}\n\t\t\t</process_info>`;
}

const only = (inside: string, processes?: string) => readable(parseDeviceLog(log(inside, processes))).gpus[0];

describe('logs of other drivers', () => {
  it('had other names for power and for why clocks are held down', () => {
    const gpu = only(`<clocks_throttle_reasons>
<clocks_throttle_reason_hw_thermal_slowdown>Not Active</clocks_throttle_reason_hw_thermal_slowdown>
<clocks_throttle_reason_sw_thermal_slowdown>Active</clocks_throttle_reason_sw_thermal_slowdown>
<clocks_throttle_reason_sw_power_cap>Not Active</clocks_throttle_reason_sw_power_cap>
</clocks_throttle_reasons>
<power_readings><power_draw>61.20 W</power_draw><power_limit>300.00 W</power_limit><enforced_power_limit>250.00 W</enforced_power_limit></power_readings>`);

    expect(gpu?.values).toEqual({ 'slowed-by-thermal': 1, 'slowed-by-power-cap': 0, power: 61.2, 'power-limit': 250 });
  });

  it('counted single and double bit errors, and retired pages', () => {
    const gpu = only(`<ecc_errors>
<volatile><single_bit><device_memory>2</device_memory><total>2</total></single_bit><double_bit><total>N/A</total></double_bit></volatile>
<aggregate><single_bit><total>7</total></single_bit><double_bit><total>1</total></double_bit></aggregate>
</ecc_errors>
<retired_pages><multiple_single_bit_retirement><retired_count>3</retired_count></multiple_single_bit_retirement>
<double_bit_retirement><retired_count>1</retired_count></double_bit_retirement><pending_retirement>Yes</pending_retirement></retired_pages>`);

    expect(gpu?.values).toEqual({
      'ecc-corrected': 2,
      'ecc-corrected-lifetime': 7,
      'ecc-uncorrected-lifetime': 1,
      'retired-pages-single-bit': 3,
      'retired-pages-double-bit': 1,
      'retired-pages-pending': 1,
    });
  });

  it('may put the power limit one block deeper, and a notice behind the version', () => {
    const text = log(
      '<gpu_power_readings><instant_power_draw>38.89 W</instant_power_draw><gpu_ceiling_power_limit><current_power_limit>250.00 W</current_power_limit></gpu_ceiling_power_limit></gpu_power_readings>',
    ).replace('550.144.03', '610.57.04 [Deprecated; use another element instead]');

    expect(readable(parseDeviceLog(text))).toMatchObject({
      driverVersion: '610.57.04',
      gpus: [{ values: { power: 38.89, 'power-limit': 250 } }],
    });
  });
});

describe('logs of other products', () => {
  it('of a virtual GPU say little', () => {
    const gpu = only(`<product_name>GRID T4-8Q</product_name>
<mig_mode><current_mig>N/A</current_mig><pending_mig>N/A</pending_mig></mig_mode>
<fan_speed>N/A</fan_speed>
<fb_memory_usage><total>8192 MiB</total><used>712 MiB</used><free>7480 MiB</free></fb_memory_usage>
<utilization><gpu_util>12 %</gpu_util><memory_util>3 %</memory_util><encoder_util>N/A</encoder_util></utilization>
<temperature><gpu_temp>N/A</gpu_temp></temperature><gpu_power_readings><average_power_draw>N/A</average_power_draw></gpu_power_readings>
<pci><replay_counter>N/A</replay_counter><tx_util>N/A</tx_util></pci>`);

    expect(gpu?.migMode).toBe('not-offered');
    expect(gpu?.values).toEqual({
      'memory-total': 8192 * mebi,
      'memory-used': 712 * mebi,
      'memory-free': 7480 * mebi,
      'gpu-utilization': 0.12,
      'memory-utilization': 0.03,
    });
  });

  it('of a whole B200 tray are as long as they are', () => {
    const [gpu = ''] = /\t<gpu id[\s\S]*?<\/gpu>/.exec(fixture('xml/k8s-test-infra-hw__qx-gb300.xml')) ?? [];
    const sixteen = Array.from({ length: 16 }, (_, at) => gpu.replace(/<uuid>.*<\/uuid>/, `<uuid>${uuid(at)}</uuid>`)).join('\n');

    const read = readable(parseDeviceLog(`<nvidia_smi_log>\n${sixteen}\n</nvidia_smi_log>`)).gpus;
    expect(read.map((own) => own.uuid)).toEqual(Array.from({ length: 16 }, (_, at) => uuid(at)));
    expect(read[15]?.values).toEqual(read[0]?.values);
  });

  it('whose authors masked every UUID with one keep every GPU', () => {
    const text = fixture('xml/k8s-test-infra-hw__qx-h100.xml').replace(/<uuid>.*<\/uuid>/g, `<uuid>${uuid(0)}</uuid>`);

    expect(readable(parseDeviceLog(text)).gpus).toHaveLength(8);
  });
});

describe('MIG in logs', () => {
  const device = (inside: string): string =>
    `<mig_mode><current_mig>Enabled</current_mig><pending_mig>Disabled</pending_mig></mig_mode><mig_devices>${inside}</mig_devices>`;
  const ids = '<index>0</index><gpu_instance_id>1</gpu_instance_id><compute_instance_id>0</compute_instance_id>';

  it.each(['', '\n\t\t\tNone\n\t\t'])('may be on with no device: %j', (inside) => {
    expect(only(device(inside))).toMatchObject({ migMode: 'enabled', migPendingMode: 'disabled', migDevices: [] });
  });

  it('may say nothing of memory, or that it is unknown', () => {
    expect(only(device(`<mig_device>${ids}</mig_device>`))?.migDevices).toEqual([
      { index: 0, gpuInstanceId: 1, computeInstanceId: 0, values: {} },
    ]);
    const memory = '<fb_memory_usage><total>9984 MiB</total><used>Unknown Error</used></fb_memory_usage>';
    expect(only(device(`<mig_device>${ids}${memory}</mig_device>`))?.migDevices[0]?.values).toEqual({ 'memory-total': 9984 * mebi });
  });

  it('must say which instance a device is', () => {
    expect(parseDeviceLog(log(device('<mig_device><index>0</index></mig_device>'))).kind).toBe('unreadable');
  });
});

describe('processes', () => {
  it('may have no memory, no type and no name', () => {
    const gpu = only(
      '',
      [process({ pid: '7', used_memory: 'Not available in WDDM driver model', type: 'C+G' }), process({ pid: '8' })].join('\n'),
    );

    expect(loggedProcesses(gpu === undefined ? [] : [gpu])).toEqual([
      {
        gpuUuid: uuid(0),
        pid: 7,
        name: '',
        gpuInstanceId: undefined,
        computeInstanceId: undefined,
        usedMemoryMiB: undefined,
        type: 'compute-and-graphics',
      },
      { gpuUuid: uuid(0), pid: 8, name: '', gpuInstanceId: undefined, computeInstanceId: undefined, usedMemoryMiB: undefined },
    ]);
  });

  it('may bear names that are no text, or that look like the log itself', () => {
    const bytes = Buffer.from(log('', process({ pid: '7', process_name: 'name-', type: 'C' })));
    const at = bytes.indexOf('name-');
    bytes[at + 4] = 0xff;
    const gpu = readable(parseDeviceLog(bytes.toString('utf8'))).gpus[0];
    expect(gpu?.processes).toMatchObject([{ pid: 7, name: expect.stringContaining('\uFFFD') }]);

    const nasty = '</process_name></process_info></processes></gpu></nvidia_smi_log><supported_clocks>';
    expect(only('', process({ pid: '7', process_name: nasty }))?.processes).toMatchObject([{ pid: 7, name: nasty }]);
  });

  it('are never lost by being unreadable', () => {
    expect(parseComputeApps(`${uuid(0)}, [Unknown Error], 17 MiB, python\n`).kind).toBe('unreadable');
    expect(readable(parseComputeApps(''))).toEqual([]);
    expect(readable(parseComputeApps('gpu_uuid, pid, used_gpu_memory [MiB], process_name\n'))).toEqual([]);
  });
});

describe('rows', () => {
  const columns = [
    'index',
    'uuid',
    'utilization.gpu',
    'temperature.gpu',
    'power.draw',
    'power.draw.instant',
    'clocks_event_reasons.hw_thermal_slowdown',
    'clocks_event_reasons.sw_thermal_slowdown',
    'fabric.state',
    'fabric.status',
  ];
  const row = (index: number, cells: readonly string[]): string => `${[index, uuid(index), ...cells].join(', ')}\n`;

  it.each([
    'Unable to determine the device handle for GPU 0000:CB:00.0: Unknown Error',
    'Unable to determine the device handle for GPU1: 0000:34:00.0: GPU is lost.  Reboot the system to recover this GPU',
    '[GPU is lost], [GPU is lost]',
    '1, [Unknown Error], [Unknown Error], ERR!, ERR!, ERR!, ERR!, ERR!, ERR!, ERR!',
  ])('leave out a GPU that is only a message: %s', (message) => {
    const good = row(0, ['1 %', '40', '70 W', '71 W', 'Active', '[N/A]', 'N/A', 'N/A']);

    expect(readable(parseSamples(`${good}${message}\n`, columns))).toMatchObject([
      { index: 0, values: { 'gpu-utilization': 0.01, temperature: 40, power: 70, 'slowed-by-thermal': 1 }, words: {} },
    ]);
    expect(parseSamples(`${message}\n`, columns).kind).toBe('unreadable');
  });

  it('of a GPU that answers nothing but its name have no values', () => {
    const lost = row(3, ['[GPU is lost]', 'ERR!', '[Unknown Error]', '[N/A]', '[N/A]', '[N/A]', '[N/A]', '[N/A]']);

    expect(readable(parseSamples(lost, columns))).toMatchObject([{ index: 3, values: {}, words: {} }]);
  });

  it('fall back to the power at this moment where there is no average, and keep commas of a status', () => {
    const text = row(0, ['0 %', '-3', '[N/A]', '33.51 W', 'Not Active', 'Not Active', 'Completed', 'Failed, see the log']);

    expect(readable(parseSamples(text, columns))[0]).toMatchObject({
      values: { power: 33.51, temperature: -3, 'slowed-by-thermal': 0 },
      words: { fabricState: 'completed', fabricStatus: 'Failed, see the log' },
    });
  });

  it('of sixteen GPUs are sixteen', () => {
    const text = Array.from({ length: 16 }, (_, at) => row(at, ['0 %', '40', '70 W', '71 W', 'Active', 'Active', 'N/A', 'N/A'])).join('');

    expect(readable(parseSamples(text, columns)).map((own) => own.index)).toEqual(Array.from({ length: 16 }, (_, at) => at));
  });

  it('hold nothing out of range', () => {
    const text = row(0, ['101 %', '65535', '4294967295 W', '-1 W', 'Maybe', '', 'Soon', 'Success']);

    expect(readable(parseSamples(text, columns))[0]).toMatchObject({ values: {}, words: {} });
  });
});

describe('fields', () => {
  it('of an old driver go by their old names', () => {
    const offered = readable(
      parseQueryFields(
        '"uuid" or "gpu_uuid"\r\n\r\n"clocks_throttle_reasons.sw_power_cap"\r\nWhether.\r\n\r\n"retired_pages.sbe"\r\n"clocks.sm", "clocks.gr" and "clocks.mem"\r\n  "pstate": how fast\r\n',
      ),
    );
    const { columns, support } = resolveFields(offered);

    expect(columns).toEqual([
      'uuid',
      'pstate',
      'clocks.sm',
      'clocks.mem',
      'clocks.gr',
      'clocks_throttle_reasons.sw_power_cap',
      'retired_pages.sbe',
    ]);
    expect(support.find((own) => own.field === 'slowed-by-power-cap')).toEqual({
      field: 'slowed-by-power-cap',
      source: 'clocks_throttle_reasons.sw_power_cap',
      supported: true,
    });
    expect(support.find((own) => own.field === 'temperature')).toEqual({
      field: 'temperature',
      source: 'temperature.gpu',
      supported: false,
    });
  });

  it('are guessed carefully without a help text, and the refused ones never asked for again', () => {
    const first = resolveFields(undefined).columns;
    const second = resolveFields(undefined, (name) => name !== 'pstate' && name !== 'uuid').columns;

    expect(first).toContain('clocks_throttle_reasons.sw_power_cap');
    expect(first).not.toContain('fabric.state');
    expect(second).not.toContain('pstate');
    expect(second).toContain('gpu_uuid');
  });

  it('are not taken from a text that is no list of them', () => {
    for (const text of [
      '',
      'Invalid combination of input arguments.',
      '"Enabled" indicates an active display.\n',
      captured('captures/linux-x86_64__nvidia-l40s__595.80.txt', /nvidia-smi -h$/),
    ])
      expect(parseQueryFields(text).kind).toBe('unreadable');
  });
});

describe('-L', () => {
  it('reads Windows line ends and names of any kind', () => {
    expect(
      readable(parseGpuList(`GPU 0: Quadro RTX 6000 (UUID: ${uuid(0)})\r\nGPU 15: NVIDIA, Odd (UUID: GPU-) (UUID: ${uuid(1)})\r\n`)),
    ).toMatchObject([
      { index: 0, name: 'Quadro RTX 6000' },
      { index: 15, uuid: uuid(1) },
    ]);
  });
});
