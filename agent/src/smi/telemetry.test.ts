import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type GpuUuid, parseGpuUuid } from '@astrago/shared/domain/ids';
import { describe, expect, it, vi } from 'vitest';
import type { GpuSample } from '#core/telemetry/sample';
import type { DeviceDetails, TelemetrySource } from '../app/telemetry-source.ts';
import { until } from '../testing/until.ts';
import { createSmiDriver, type SmiDriver, type SmiDriverOptions } from './driver.ts';
import type { LoopLimits } from './loop/loop-reader.ts';
import { captured } from './testing/fixtures.ts';
import { looping } from './testing/looping-smi.ts';
import { type Reply, type ScriptedSmi, scriptedSmi } from './testing/scripted-smi.ts';

// Real processes, on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 120_000 });

const a = uuid('GPU-aaaaaaaa-0000-0000-0000-000000000000');
const b = uuid('GPU-bbbbbbbb-0000-0000-0000-000000000000');
const help: Reply = { stdout: '"index"\n\n"uuid" or "gpu_uuid"\n\n"driver_version"\n\n"temperature.gpu"\nCore GPU temperature.\n' };
const header = 'index, uuid, driver_version, temperature.gpu\n';
const signal = new AbortController().signal;

function uuid(text: string): GpuUuid {
  const parsed = parseGpuUuid(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

function row(index: number, gpu: GpuUuid, temperature: number, driver = '580.1'): string {
  return `${index}, ${gpu}, ${driver}, ${temperature}\n`;
}

function log(gpu: GpuUuid, pid: number): string {
  return `<?xml version="1.0" ?>
<nvidia_smi_log>
	<driver_version>580.1</driver_version>
	<gpu id="00000000:01:00.0">
		<uuid>${gpu}</uuid>
		<pci>
			<replay_counter>3</replay_counter>
		</pci>
		<temperature>
			<gpu_temp>41 C</gpu_temp>
		</temperature>
		<processes>
			<process_info>
				<pid>${pid}</pid>
				<type>C</type>
				<process_name>python</process_name>
				<used_memory>17 MiB</used_memory>
			</process_info>
		</processes>
	</gpu>
</nvidia_smi_log>
`;
}

const quick: Partial<LoopLimits> = { firstMs: 1, maxMs: 5, slackMs: 200, killMs: 300, pollingMs: 100_000 };

interface Watching extends AsyncDisposable {
  readonly driver: SmiDriver;
  readonly source: TelemetrySource;
  readonly rounds: (readonly GpuSample[])[];
  readonly details: DeviceDetails[];
  temperatures(): readonly (number | undefined)[];
}

function watch(
  smi: ScriptedSmi,
  options: { readonly periodMs?: number; readonly limits?: Partial<LoopLimits>; readonly driver?: Partial<SmiDriverOptions> } = {},
): Watching {
  const driver = createSmiDriver({ program: smi.program, ...options.driver });
  const source = driver.telemetry({
    periodMs: options.periodMs ?? 50,
    detailPeriodMs: options.periodMs ?? 50,
    random: () => 0.5,
    limits: { ...quick, ...options.limits },
  });
  const rounds: (readonly GpuSample[])[] = [];
  const details: DeviceDetails[] = [];
  const stop = new AbortController();
  const running = source.run(stop.signal, { gpus: (samples) => rounds.push(samples), devices: (own) => details.push(own) });
  return {
    driver,
    source,
    rounds,
    details,
    temperatures: () => rounds.at(-1)?.map((own) => own.values.temperature) ?? [],
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await running;
    },
  };
}

describe('telemetry', () => {
  it('reads rounds of a long-running nvidia-smi, and what only its log has', async () => {
    using smi = scriptedSmi({
      '--help-query-gpu': help,
      '--query-gpu=*-lms 50': looping(`${header}${row(0, a, 40)}${row(1, b, 50)}`),
      '-q -x -lms 50': looping(log(a, 7)),
    });
    await using watched = watch(smi);

    await until(() => watched.temperatures()[0] === 40 && watched.source.status.details.state === 'running', 'rounds');
    const seen = watched.details.length;
    await until(() => watched.details.length > seen && watched.temperatures()[0] === 40, 'details after the fields are known');

    expect(watched.temperatures()).toEqual([40, 50]);
    expect(watched.details.at(-1)).toMatchObject({
      complete: true,
      processes: [{ gpuUuid: a, pid: 7, type: 'compute' }],
      extras: [{ gpuUuid: a, values: { 'pcie-replays': 3 } }],
    });
    // An older reading of the log never fills in for one of --query-gpu.
    expect(watched.details.at(-1)?.extras[0]?.values).not.toHaveProperty('temperature');
    expect(watched.source.status).toMatchObject({ gpus: { restarts: 0, abandoned: 0 }, details: { restarts: 0 } });
    expect(watched.source.status.fields).toContainEqual({ field: 'temperature', source: 'temperature.gpu', supported: true });
    expect(watched.source.status.fields).toContainEqual({ field: 'power', source: 'power.draw', supported: false });
    expect(watched.source.status.fields).toContainEqual({ field: 'pcie-replays', source: '-q -x', supported: true });
    expect(smi.calls().filter((call) => call.includes('-lms'))).toHaveLength(2);
  });

  it('uses whole seconds where the period is one', async () => {
    using smi = scriptedSmi({
      '--help-query-gpu': help,
      '--query-gpu=*-l 1': looping(`${header}${row(0, a, 40)}`),
      '-q -x -l 1': looping(log(a, 7)),
    });
    await using watched = watch(smi, { periodMs: 1000 });

    await until(() => watched.details.length > 0 && watched.temperatures()[0] === 40, 'a round');
  });

  it('leaves nothing running when it ends', async () => {
    using smi = scriptedSmi({
      '--help-query-gpu': help,
      '--query-gpu=*-lms 50': looping(`${header}${row(0, a, 40)}`),
      '-q -x -lms 50': looping(log(a, 7)),
    });
    const watched = watch(smi);
    await until(() => watched.temperatures()[0] === 40 && watched.details.length > 0, 'a round');

    await watched[Symbol.asyncDispose]();

    for (const pid of readFileSync(smi.path('started'), 'utf8').trim().split('\n')) expect(existsSync(`/proc/${pid}`)).toBe(false);
  });

  it('starts again after an end, and forgets none of it in its status', async () => {
    using smi = scriptedSmi({
      '--help-query-gpu': help,
      '--query-gpu=*-lms 50': looping(`${header}${row(0, a, 40)}`),
      '-q -x -lms 50': looping(log(a, 7)),
    });
    await using watched = watch(smi, { limits: { failuresMax: 1000 } });
    await until(() => watched.temperatures()[0] === 40, 'a round');
    writeFileSync(smi.path('stop-text'), 'Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost.\n');
    writeFileSync(smi.path('stop'), '');
    await until(() => watched.source.status.gpus.restarts > 1, 'a restart');
    expect(watched.source.status.gpus.lastError).toContain('GPU is lost');

    const before = watched.rounds.length;
    writeFileSync(smi.path('text'), row(0, a, 44));
    rmSync(smi.path('stop'));
    await until(() => watched.rounds.length > before && watched.temperatures()[0] === 44, 'rounds again');

    expect(watched.source.status.gpus).toMatchObject({ state: 'running', lastError: undefined });
  });

  it('kills a reader that says nothing, and starts another', async () => {
    using smi = scriptedSmi({
      '--help-query-gpu': help,
      '--query-gpu=*-lms 50': looping(`${header}${row(0, a, 40)}`),
      '-q -x -lms 50': looping(log(a, 7)),
    });
    await using watched = watch(smi, { limits: { failuresMax: 1000, firstRoundMs: 300, pollingMs: 100 } });
    await until(() => watched.temperatures()[0] === 40, 'a round');

    writeFileSync(smi.path('mute'), '');
    await until(() => watched.source.status.gpus.restarts > 0, 'the silence is noticed');
    const pids = readFileSync(smi.path('started'), 'utf8').trim().split('\n');
    await until(() => !existsSync(`/proc/${pids[0]}`), 'the silent one is gone');
    rmSync(smi.path('mute'));
    const before = watched.rounds.length;
    await until(() => watched.rounds.length > before, 'rounds again');

    expect(watched.source.status.gpus.abandoned).toBe(0);
    expect(watched.driver.hungCommands()).toBe(0);
  });

  it('steps aside while a GPU is reset, which is no failure', async () => {
    using smi = scriptedSmi({
      '--help-query-gpu': help,
      '--query-gpu=*-lms 50': looping(`${header}${row(0, a, 40)}`),
      '-q -x -lms 50': looping(log(a, 7)),
      '*--gpu-reset': {
        then: 'for p in $(cat "$here/started"); do if [ -e /proc/$p ]; then echo "$p" >> "$here/clients"; fi; done; touch "$here/resetting"; while [ ! -e "$here/go" ]; do sleep 0.02; done',
      },
    });
    await using watched = watch(smi);
    await until(() => watched.temperatures()[0] === 40 && watched.details.length > 0, 'a round');

    const reset = watched.driver.resetGpu(a, signal);
    await until(() => existsSync(smi.path('resetting')), 'the reset');
    expect(watched.source.status).toMatchObject({ gpus: { state: 'paused' }, details: { state: 'paused' } });
    const before = watched.rounds.length;
    writeFileSync(smi.path('go'), '');
    await reset;
    await until(() => watched.rounds.length > before, 'rounds again');

    expect(existsSync(smi.path('clients'))).toBe(false);
    expect(watched.source.status).toMatchObject({ gpus: { restarts: 0, lastError: undefined }, details: { restarts: 0 } });
  });

  it('asks period by period where a loop is not known', async () => {
    const refused: Reply = { stdout: "ERROR: Option -lms is not recognized. Please run 'nvidia-smi -h' for help.\n", exit: 2 };
    using smi = scriptedSmi({
      '--help-query-gpu': help,
      '* -lms *': refused,
      '* -l *': refused,
      '--query-gpu=*csv': { stdout: `${header}${row(0, a, 40)}` },
      '-q -x': { stdout: log(a, 7) },
    });
    await using watched = watch(smi);

    await until(() => watched.rounds.length > 2 && watched.details.length > 2 && watched.temperatures()[0] === 40, 'rounds');
    expect(watched.source.status).toMatchObject({
      gpus: { state: 'falling-back', lastError: undefined },
      details: { state: 'falling-back' },
    });
    expect(smi.calls().filter((call) => / -lm?s? /.test(call))).toHaveLength(4);
  });

  it('asks period by period where a loop ends after one round', async () => {
    using smi = scriptedSmi({
      '--help-query-gpu': help,
      '--query-gpu=*': { stdout: `${header}${row(0, a, 40)}` },
      '-q -x*': { stdout: log(a, 7) },
    });
    await using watched = watch(smi);

    await until(() => watched.rounds.length > 2 && watched.details.length > 2, 'rounds');
    expect(watched.source.status).toMatchObject({ gpus: { state: 'falling-back', restarts: 0 }, details: { state: 'falling-back' } });
  });

  it('learns which fields are refused where the help text is none', async () => {
    const refused = (name: string): Reply => ({ stdout: `Field "${name}" is not a valid field to query.\n\n`, exit: 2 });
    using smi = scriptedSmi({
      '--help-query-gpu': { stdout: 'Invalid combination of input arguments.', exit: 2 },
      '--query-gpu=*-lms 50': looping(`index, temperature.gpu, uuid\n0, 39, ${a}\n`),
      '--query-gpu=*encoder.stats*': refused('encoder.stats.sessionCount'),
      '--query-gpu=*clocks_throttle_reasons.sw_power_cap*': refused('clocks_throttle_reasons.sw_power_cap'),
      '-q -x -lms 50': looping(log(a, 7)),
    });
    await using watched = watch(smi);

    await until(() => watched.temperatures()[0] === 39, 'a round');
    const { fields, gpus } = watched.source.status;
    expect(gpus.restarts).toBe(0);
    expect(fields.find((own) => own.field === 'encoder-sessions')?.supported).toBe(false);
    expect(fields.find((own) => own.field === 'slowed-by-power-cap')?.supported).toBe(false);
    expect(fields.find((own) => own.field === 'slowed-by-thermal')).toMatchObject({
      source: 'clocks_throttle_reasons.hw_thermal_slowdown',
      supported: true,
    });
  });

  it('takes samples from the log where the GPUs cannot be queried', async () => {
    using smi = scriptedSmi({ '-q -x -lms 50': looping(log(a, 7)), '-q -x': { stdout: log(a, 7) } });
    await using watched = watch(smi);

    await until(() => watched.rounds.length > 0 && watched.details.length > 0, 'a round');
    expect(watched.temperatures()).toEqual([41]);
    expect(watched.rounds.at(-1)?.[0]?.values['pcie-replays']).toBe(3);
  });

  it('knows who computes where there is no log, without an instance', async () => {
    using smi = scriptedSmi({
      '--query-compute-apps=*': { stdout: `gpu_uuid, pid, used_gpu_memory [MiB], process_name\n${a}, 7, 17 MiB, odd, name\n` },
    });
    await using watched = watch(smi);

    await until(() => watched.details.length > 0, 'processes');
    expect(watched.details[0]).toMatchObject({
      complete: false,
      processes: [{ gpuUuid: a, pid: 7, name: 'odd, name', usedMemoryMiB: 17, gpuInstanceId: undefined }],
    });
  });

  it('asks for the fields again when another driver has been loaded', async () => {
    using smi = scriptedSmi({
      '--help-query-gpu': help,
      '--query-gpu=*-lms 50': looping(`${header}${row(0, a, 40)}`),
      '-q -x -lms 50': looping(log(a, 7)),
    });
    await using watched = watch(smi);
    await until(() => watched.temperatures()[0] === 40, 'a round');

    smi.answer({
      '--help-query-gpu': { stdout: `${help.stdout}\n"power.draw"\nPower.\n` },
      '--query-gpu=*power.draw*-lms 50': looping(
        `index, uuid, driver_version, temperature.gpu, power.draw [W]\n0, ${a}, 590.2, 40, 70.5 W\n`,
      ),
    });
    writeFileSync(smi.path('text'), row(0, a, 40, '590.2'));
    await until(() => watched.source.status.fields.some((own) => own.field === 'power' && own.supported), 'the new field');
    rmSync(smi.path('text'));

    await until(() => watched.rounds.at(-1)?.[0]?.values.power === 70.5, 'power');
    expect(watched.source.status.gpus.restarts).toBe(0);
  });
});

describe('a reader that cannot be killed', () => {
  it('is left behind and counted, and the GPUs that answer are served', async () => {
    const stuck: (() => void)[] = [];
    using smi = scriptedSmi({
      '--help-query-gpu': help,
      '--query-gpu=index*noheader*': { stdout: `0, ${a}, 580.1\n1, ${b}, 580.1\n` },
      '-i * --query-gpu=*csv': { stdout: `${header}${row(0, a, 40)}` },
      '-i 1 --query-gpu=*csv': { stdout: `${header}${row(1, b, 51)}` },
      '-i 0 --query-gpu=*csv': { then: 'exec sleep 60' },
      '--query-gpu=*-lms 50': looping(`${header}${row(0, a, 40)}${row(1, b, 50)}`),
      '* -q -x': { stdout: log(b, 7) },
      '-q -x -lms 50': looping(log(a, 7)),
    });
    await using watched = watch(smi, {
      limits: { firstRoundMs: 300, killMs: 100 },
      driver: {
        limits: { queryMs: 1500 },
        kill: (child) => {
          stuck.push(() => child.kill('SIGKILL'));
        },
      },
    });
    const { driver, source } = watched;
    await driver.observe(signal);
    await until(() => watched.temperatures()[0] === 40, 'a round');

    writeFileSync(smi.path('mute'), '');
    await until(() => source.status.gpus.state === 'stuck' && source.status.gpus.abandoned === 1, 'the reader is given up');
    expect(driver.hungCommands()).toBeGreaterThan(0);
    await until(() => watched.rounds.at(-1)?.length === 1 && watched.temperatures()[0] === 51, 'the other GPU');
    expect(await driver.observeGpu(b, signal).catch((fault: unknown) => String(fault))).not.toContain('busy-with-hung-command');
    const loops = smi.calls().filter((call) => call.includes('-lms')).length;
    expect(loops).toBeLessThanOrEqual(4);

    rmSync(smi.path('mute'));
    await until(async () => {
      for (const end of stuck) end();
      return source.status.gpus.state === 'running' && source.status.gpus.abandoned === 0 && driver.hungCommands() === 0;
    }, 'it is over');
    expect(watched.temperatures()).toEqual([40, 50]);
  });
});

describe('the fields of a real help text', () => {
  it('are asked for once', async () => {
    using smi = scriptedSmi({
      '--help-query-gpu': { stdout: captured('captures/linux-x86_64__nvidia-h100-mig__590.48.01.txt', /--help-query-gpu$/) },
      '--query-gpu=*-lms 50': looping('nothing of use\n'),
      '-q -x -lms 50': looping(log(a, 7)),
    });
    await using watched = watch(smi);

    await until(() => smi.calls().some((call) => call.startsWith('--query-gpu')), 'the question');
    const columns = /--query-gpu=(\S+)/.exec(smi.calls().find((call) => call.startsWith('--query-gpu')) ?? '')?.[1]?.split(',') ?? [];
    expect(columns).toEqual(expect.arrayContaining(['uuid', 'power.draw', 'clocks_event_reasons.hw_thermal_slowdown', 'fabric.status']));
    expect(columns.at(-1)).toBe('fabric.status');
    expect(columns.filter((name) => name.startsWith('clocks_throttle'))).toEqual([]);
    expect(watched.source.status.fields.filter((own) => !own.supported && own.source !== '-q -x').map((own) => own.field)).toEqual([
      'energy',
    ]);
  });
});
