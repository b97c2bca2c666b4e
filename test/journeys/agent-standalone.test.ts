// The agent on a machine without a controller, as a person meets it: `./astrago agent ...` and an nvidia-smi.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMachine, createReplay } from '@astrago/sim';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { until } from '../world/until.ts';

vi.setConfig({ testTimeout: 120_000 });

const root = join(import.meta.dirname, '../..');
let directory: string;
const running: ChildProcess[] = [];

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ran>;
  readonly stderr: () => string;
}

function start(program: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}): Started {
  const child = spawn(program, args, {
    cwd: root,
    // Nothing of the caller's settings: the least that a machine gives.
    env: { PATH: process.env['PATH'], TMPDIR: directory, ASTRAGO_NODE: process.execPath, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.push(child);
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
  return { child, ended, stderr: () => stderr };
}

const agent = (args: readonly string[], environment: Readonly<Record<string, string>> = {}): Started =>
  start('./astrago', ['agent', ...args], { ASTRAGO_NVIDIA_SMI: nvidiaSmi, ...environment });

/** One machine for all: nobody here changes it. A workload that nobody ordered sits on its first slice. */
const shared = mkdtempSync(join(tmpdir(), 'astrago-alone-'));
const machine = createMachine({ directory: join(shared, 'machine'), model: 'h100-80gb', gpuCount: 1, seed: shared, migEnabled: true });
const { nvidiaSmi, stateFile } = machine;
let stranger: ChildProcess;
let migUuid: string;

beforeAll(async () => {
  execFileSync(nvidiaSmi, ['mig', '-i', '0', '-cgi', '9,14:0,19:2', '-C']);
  directory = shared;
  migUuid = (await inventory()).gpus[0]?.slices[0]?.migUuid ?? '';
  const environment = { PATH: process.env['PATH'], CUDA_VISIBLE_DEVICES: migUuid, FAKE_NVIDIA_SMI_MEMORY_MIB: '2048' };
  stranger = spawn('sleep', ['600'], { env: environment, stdio: 'ignore' });
  await once(stranger, 'spawn');
});
afterAll(() => {
  stranger.kill('SIGKILL');
  rmSync(shared, { recursive: true, force: true, maxRetries: 5 });
});
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'astrago-alone-'));
});
afterEach(async () => {
  for (const child of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
});

interface Inventory {
  readonly gpus: readonly {
    readonly uuid: string;
    readonly slices: readonly { readonly profile: string; readonly start: number; readonly migUuid: string }[];
    readonly readings: Readonly<Record<string, unknown>>;
  }[];
  readonly processes: readonly { readonly pid: number }[];
  readonly conditions: readonly { readonly kind: string }[];
}

async function inventory(environment: Readonly<Record<string, string>> = {}): Promise<Inventory> {
  const { code, stdout, stderr } = await agent(['inventory', '--json'], environment).ended;
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout) as Inventory;
}

/** An nvidia-smi that says what a bundle holds. */
function replayOf(bundle: string): string {
  return createReplay({ directory: join(directory, 'replay'), bundle }).nvidiaSmi;
}

const metrics = async (port: number): Promise<string> => (await fetch(`http://127.0.0.1:${port}/metrics`)).text();

async function portOf(started: Started): Promise<number> {
  const line = await until(
    () =>
      started
        .stderr()
        .split('\n')
        .find((text) => text.includes('the agent is up')),
    'the agent is up',
  ).catch((cause: unknown) => {
    throw new Error(started.stderr(), { cause });
  });
  return (JSON.parse(line) as { readonly metricsPort: number }).metricsPort;
}

describe('an agent that stands alone', () => {
  it('needs one setting, serves /metrics to this machine, changes nothing, and leaves nothing', async () => {
    const before = readFileSync(stateFile, 'utf8');
    const started = agent(['--standalone', '--metrics-port', '0']);
    const port = await portOf(started);

    const text = await until(async () => {
      const now = await metrics(port);
      return now.includes(`mig_uuid="${migUuid}"`) && now.includes('astrago_gpu_power_watts{') && now;
    }, 'the GPU is measured');
    expect(text).toMatch(/^astrago_gpu_info\{.*model="NVIDIA H100 80GB HBM3".*mode="mig".*\} 1$/m);
    expect(text.match(/^astrago_mig_instance_info\{/gm)).toHaveLength(3);
    expect(existsSync(join(directory, 'no-such'))).toBe(false);

    const second = await agent(['--standalone', '--metrics-port', String(port)]).ended;
    expect(second).toMatchObject({ code: 1, stdout: '' });
    expect(second.stderr.trim().split('\n').at(-1)).toBe(
      `the agent could not start: another program listens on 127.0.0.1:${port} already; name another with --metrics-port or ASTRAGO_METRICS_BIND`,
    );

    started.child.kill('SIGTERM');
    expect((await started.ended).code).toBe(0);
    expect(readFileSync(stateFile, 'utf8')).toBe(before);
    process.kill(stranger.pid ?? 0, 0);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('does not touch the data of an enrolled agent', async () => {
    const data = join(directory, 'data');
    const started = agent(['--standalone', '--metrics-port', '0'], { ASTRAGO_AGENT_DATA: data });
    await portOf(started);
    expect(existsSync(data)).toBe(false);
    started.child.kill('SIGINT');
    expect((await started.ended).code).toBe(0);
  });

  it('stays up while the driver is not there, says so, and finds the GPUs once it is', async () => {
    const later = join(directory, 'later-smi');
    const started = agent(['--standalone', '--metrics-port', '0'], { ASTRAGO_NVIDIA_SMI: later, ASTRAGO_INVENTORY_PERIOD_MS: '200' });
    const port = await portOf(started);
    await until(
      async () => /astrago_node_condition\{.*kind="driver-unavailable".*\} 1/.test(await metrics(port)),
      'it says that there is no driver',
    );

    writeFileSync(`${later}.new`, `#!/bin/sh\nexec '${nvidiaSmi}' "$@"\n`, { mode: 0o755 });
    renameSync(`${later}.new`, later);
    const text = await until(async () => {
      const now = await metrics(port);
      return now.includes('astrago_gpu_info{') && now;
    }, 'the GPU is found');
    expect(text).not.toContain('driver-unavailable');
  });
});

describe('agent inventory', () => {
  it('tells devices, slices, processes and readings, for programs and for people', async () => {
    const { pid } = stranger;
    const found = await inventory();

    expect(found).toMatchObject({ schemaVersion: 1, driverVersion: '590.48.01', conditions: [] });
    const [gpu] = found.gpus;
    expect(gpu).toMatchObject({ index: 0, mig: { capable: true, enabled: true }, memoryBytes: 81559 * 2 ** 20, conditions: [] });
    expect(gpu?.slices.map(({ profile, start: at }) => `${profile}@${at}`)).toEqual(['2g.20gb@0', '1g.10gb@2', '3g.40gb@4']);
    expect(gpu?.readings).not.toHaveProperty('gpuUtilizationRatio');
    expect(found.processes).toEqual([
      expect.objectContaining({ pid, gpuUuid: gpu?.uuid, gpuInstanceId: 3, computeInstanceId: 0, usedMemoryBytes: 2048 * 2 ** 20 }),
    ]);
    expect(found.processes[0]).not.toHaveProperty('allocation');

    const people = await agent(['inventory']).ended;
    expect(people.stdout).toMatch(new RegExp(`^0 +2g\\.20gb@0 .*${migUuid}$`, 'm'));
    expect(people.stdout).toMatch(new RegExp(`^0 +3 +0 +${pid} +2048Mi +- +`, 'm'));
  });

  it('tells what ails a GPU, with what to do about it', async () => {
    const ill = createMachine({ directory: join(directory, 'machine'), model: 'h100-80gb', gpuCount: 1, seed: directory });
    writeFileSync(join(ill.directory, 'health.json'), JSON.stringify({ 0: { remappedRows: { failure: true } } }));
    const { gpus } = await inventory({ ASTRAGO_NVIDIA_SMI: ill.nvidiaSmi });

    expect(gpus).toMatchObject([
      { readings: { rowRemapFailure: true }, conditions: [{ kind: 'row-remap-failure', severity: 'critical', action: 'drain' }] },
    ]);
  });

  it('ends at its limit when the driver hangs, with an answer', async () => {
    const hanging = createMachine({ directory: join(directory, 'machine'), model: 'h100-80gb', gpuCount: 1, seed: directory });
    writeFileSync(hanging.faultsFile, JSON.stringify({ rules: [{ match: {}, action: { hang: true } }] }));
    const { code, stdout } = await agent(['inventory', '--json', '--limit', '1'], { ASTRAGO_NVIDIA_SMI: hanging.nvidiaSmi }).ended;

    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ gpus: [], conditions: [{ kind: 'driver-hung', action: 'reboot' }] });
  });

  it('loads neither gRPC nor certificates nor a metrics registry', async () => {
    const trace = join(directory, 'trace.cjs');
    writeFileSync(
      trace,
      "const { registerHooks } = require('node:module'); registerHooks({ resolve(specifier, context, next) { const found = next(specifier, context); if (/agent.dist/.test(found.url)) process.stderr.write(found.url + '\\n'); return found; } });",
    );
    const { stderr } = await agent(['inventory', '--json'], { NODE_OPTIONS: `--require ${trace}` }).ended;

    // As it is built, what is loaded late is in a file of its own.
    expect(stderr).toMatch(/take-inventory/);
    expect(stderr).not.toMatch(/controller-link|x509|Reflect|run-agent/);
  });
});

describe('agent doctor', () => {
  it('finds a simulated machine fit, and its bundle gives the same inventory', async () => {
    const seen = await inventory();
    const bundle = join(directory, 'bundle');
    const { code, stdout, stderr } = await agent(['doctor', '--json', '--no-redact', '--bundle', `${bundle}/`], {
      ASTRAGO_METRICS_BIND: '127.0.0.1:0',
    }).ended;

    const report = JSON.parse(stdout) as {
      readonly findings: readonly { readonly check: string; readonly verdict: string; readonly text: string }[];
    };
    expect(report.findings.filter(({ verdict }) => verdict === 'problem')).toEqual([]);
    expect([code, stderr]).toEqual([0, `wrote ${bundle}/; it holds serial numbers, UUIDs and host names\n`]);
    const verdicts = Object.fromEntries(report.findings.map(({ check, verdict }) => [check, verdict]));
    expect(verdicts).toMatchObject({
      'nvidia-smi': 'ok',
      driver: 'ok',
      gpus: 'ok',
      mig: 'ok',
      'persistence-mode': 'ok',
      controller: 'skipped',
      node: 'ok',
    });

    const again = await inventory({ ASTRAGO_NVIDIA_SMI: replayOf(bundle) });
    const still = ({ gpus, processes, conditions }: Inventory): object => ({
      gpus: gpus.map(({ readings: _moving, ...rest }) => rest),
      processes,
      conditions,
    });
    expect(still(again)).toEqual(still(seen));
  });

  it('writes an archive in which one machine cannot be told from another, and everything still belongs together', async () => {
    const seen = await inventory();
    const archive = join(directory, 'b.tar');
    const written = await agent(['doctor', '--bundle', archive], {
      ASTRAGO_METRICS_BIND: '127.0.0.1:0',
      ASTRAGO_NODE_NAME: 'secret-node-17',
      ASTRAGO_JOIN_TOKEN_FILE: '/secret/place',
      ASTRAGO_LOG_LEVEL: 'warn',
    }).ended;
    expect([written.code, written.stderr]).toEqual([0, `wrote ${archive}; serial numbers, UUIDs and host names are replaced\n`]);

    const bundle = join(directory, 'unpacked');
    mkdirSync(bundle);
    execFileSync('tar', ['-xf', archive, '-C', bundle]);
    const all = readdirSync(bundle, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
      .join('\n');
    const serial =
      (JSON.parse(readFileSync(stateFile, 'utf8')) as { readonly gpus: readonly { readonly serial: string }[] }).gpus[0]?.serial ?? '';
    for (const secret of [
      seen.gpus[0]?.uuid.slice(4) ?? '',
      seen.gpus[0]?.slices[0]?.migUuid.slice(4) ?? '',
      serial,
      'secret-node-17',
      '/secret/place',
    ])
      expect(all).not.toContain(secret);
    expect(JSON.parse(readFileSync(join(bundle, 'settings.json'), 'utf8'))).toEqual(
      expect.arrayContaining([
        { name: 'ASTRAGO_JOIN_TOKEN_FILE', value: 'set' },
        { name: 'ASTRAGO_LOG_LEVEL', value: 'warn' },
      ]),
    );
    expect(all).toContain('<serial>');

    const again = await inventory({ ASTRAGO_NVIDIA_SMI: replayOf(bundle) });
    expect(again.gpus[0]?.slices.map(({ profile, start: at }) => `${profile}@${at}`)).toEqual(['2g.20gb@0', '1g.10gb@2', '3g.40gb@4']);
    expect(new Set(again.gpus[0]?.slices.map(({ migUuid }) => migUuid)).size).toBe(3);
  });

  it('names what is wrong, and ends with 1', async () => {
    const taken = createServer((_request, response) => response.end('not an agent'));
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as AddressInfo;
    const data = join(directory, 'a-file');
    writeFileSync(data, '');
    const { code, stdout } = await agent(['doctor'], {
      ASTRAGO_NVIDIA_SMI: join(directory, 'nowhere'),
      ASTRAGO_METRICS_BIND: `127.0.0.1:${port}`,
      ASTRAGO_AGENT_DATA: data,
      ASTRAGO_CONTROLLER_ADDRESS: '127.0.0.1:1',
      ASTRAGO_JOIN_ADDRESS: '127.0.0.1:1',
    }).ended;
    taken.close();

    expect(code).toBe(1);
    const problems = stdout.split('\n').filter((line) => line.startsWith('problem'));
    expect(problems.map((line) => line.split(/ +/)[1])).toEqual([
      'nvidia-smi',
      'data-directory',
      'controller',
      'controller-join',
      'metrics-port',
    ]);
    expect(stdout).toMatch(/5 problems, \d+ warnings?\n$/);
  });
});

describe('the command line of the agent', () => {
  it('explains itself, and what it does not take', async () => {
    const pages = await Promise.all([['--help'], ['help', 'doctor'], ['version']].map((args) => agent(args).ended));
    expect(pages.map(({ code, stderr }) => [code, stderr])).toEqual([
      [0, ''],
      [0, ''],
      [0, ''],
    ]);
    expect(pages[0]?.stdout).toContain('--standalone');
    expect(pages[2]?.stdout).toMatch(/^astrago agent \d+\.\d+\.\d+, Node \d+\.\d+\.\d+\n$/);

    const wrong = await agent(['--standalon']).ended;
    expect(wrong).toEqual({ code: 2, stdout: '', stderr: "astrago agent: Unknown option '--standalon'. See astrago agent --help.\n" });
    const bare = await agent([]).ended;
    expect([bare.code, bare.stderr]).toEqual([
      1,
      'the agent could not start: set ASTRAGO_AGENT_DATA: the directory this agent keeps its state in; without a controller, start it with --standalone\n',
    ]);
  });
});
