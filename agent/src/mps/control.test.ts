// Against a control program of our own: a real process with real daemons, as NVIDIA documents it.
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { systemClock } from '@astrago/shared/runtime/clock';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MpsFault } from '../app/mps-control.ts';
import { readProc } from '../processes/proc.ts';
import { Scratch } from '../testing/scratch.ts';
import { until } from '../testing/until.ts';
import { type ControlLimits, LocalMpsControl } from './control.ts';
import { shortName } from './mps-directory.ts';
import { FakeMpsControl } from './testing/fake-mps-control.ts';

vi.setConfig({ testTimeout: 120_000 });

const device = 'GPU-00000000-0000-0000-0000-000000000001';
const signal = new AbortController().signal;
const half = { threadPercentage: 50, memoryMiB: 1000 };

let scratch: Scratch;
let fake: FakeMpsControl;
const clients: ChildProcess[] = [];
beforeEach(() => {
  scratch = new Scratch();
  fake = new FakeMpsControl(scratch.path('bin'));
});
afterEach(async () => {
  fake[Symbol.dispose]();
  for (const client of clients.splice(0)) client.kill('SIGKILL');
  await scratch[Symbol.asyncDispose]();
});

const control = (limits: Partial<ControlLimits> = {}, root = scratch.path('mps')): LocalMpsControl =>
  new LocalMpsControl({
    directory: root,
    program: undefined,
    nvidiaSmi: scratch.path('bin', 'nvidia-smi'),
    environment: { PATH: process.env['PATH'] ?? '', SECRET: 'hidden' },
    clock: systemClock,
    limits,
  });
const directory = (): string => scratch.path('mps', shortName(device));

async function connect(mps: LocalMpsControl): Promise<number> {
  const client = spawn('sleep', ['300'], {
    env: { PATH: process.env['PATH'], ASTRAGO_ALLOCATION_ID: 'alloc_x', ...mps.clientEnvironment(device, half) },
  });
  clients.push(client);
  const pid = client.pid ?? expect.unreachable();
  await until(async () => {
    const now = await mps.look(device, signal);
    return now.kind === 'running' && now.servers.some((server) => server.clients.includes(pid));
  }, 'it is connected');
  return pid;
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'done',
    (fault: unknown) => (fault instanceof MpsFault ? fault.code : String(fault)),
  );
}

describe('a control daemon', () => {
  it('is started for one device, limited before its first client, found by a later agent, and leaves nothing', async () => {
    const first = control();
    expect(await first.look(device, signal)).toEqual({ kind: 'absent' });
    expect(await first.devices()).toEqual([]);

    await first.start(device, signal);
    expect(await first.look(device, signal)).toEqual({ kind: 'running', limits: { threadPercentage: 100 }, servers: [] });
    await first.setLimits(device, half, signal);
    expect(first.isAlive(device)).toBe(true);

    const second = control();
    expect(await second.devices()).toEqual([device]);
    expect(await second.look(device, signal)).toEqual({ kind: 'running', limits: half, servers: [] });
    expect(fake.calls().filter((call) => call.endsWith('-d'))).toEqual([`${device} -d`]);
    expect(second.processesOf(device)).toEqual(fake.processes('control'));

    await second.stop(device, signal);
    expect(await second.look(device, signal)).toEqual({ kind: 'absent' });
    expect([fake.processes('control'), readdirSync(scratch.path('mps'))]).toEqual([[], []]);
    expect(first.isAlive(device)).toBe(false);
  });

  it('lists its clients and lets one go', async () => {
    const mps = control();
    await mps.start(device, signal);
    await mps.setLimits(device, half, signal);
    const [one, other] = [await connect(mps), await connect(mps)];
    const server = fake.processes('server')[0] ?? expect.unreachable();
    expect(await mps.look(device, signal)).toMatchObject({ kind: 'running', limits: half, servers: [{ pid: server, state: 'active' }] });
    expect(mps.processesOf(device)).toContain(server);

    await mps.terminateClient(device, server, one, signal);

    expect(await mps.look(device, signal)).toMatchObject({ servers: [{ clients: [other] }] });
    // Wider limits reach the server that is there, for clients to come.
    await mps.setLimits(device, { threadPercentage: 80, memoryMiB: 2048 }, signal);
    expect(await mps.look(device, signal)).toMatchObject({ limits: { threadPercentage: 80, memoryMiB: 2048 } });
    expect(await control().look(device, signal)).toMatchObject({ limits: { threadPercentage: 80, memoryMiB: 2048 } });
  });

  it('of which nothing shows a change is asked for the state of its server alone, and in full when that is another', async () => {
    const mps = control({ stateAgeMs: 0 });
    await mps.start(device, signal);
    // As the real one leaves them.
    for (const file of ['control', 'logs/server.log']) writeFileSync(`${directory()}/${file}`, '');
    const client = await connect(mps);
    const server = fake.processes('server')[0] ?? expect.unreachable();
    const { length } = fake.calls();

    const known = await mps.look(device, signal);
    expect(known).toMatchObject({ servers: [{ pid: server, state: 'active', clients: [client] }] });
    expect(await control().look(device, signal, 'fresh')).toMatchObject({ kind: 'running' });
    expect(fake.calls().slice(length)[0]).toBe(`get_server_status ${server}`);
    expect(fake.calls().slice(length)[1]).toBe('get_server_list');

    writeFileSync(`${directory()}/fault`, '');
    expect(await mps.look(device, signal)).toMatchObject({ servers: [{ pid: server, state: 'fault' }] });
  });

  it('that died is told from one that is there, with the server that outlived it, and cleared away', async () => {
    const mps = control();
    await mps.start(device, signal);
    const client = await connect(mps);
    for (const pid of fake.processes('control')) process.kill(pid, 'SIGKILL');
    await until(() => !mps.isAlive(device), 'the daemon is gone');

    const servers = fake.processes('server');
    expect(await mps.look(device, signal)).toEqual({ kind: 'dead', servers });
    expect(await control().devices()).toEqual([device]);

    await mps.clear(device, signal);
    expect([fake.processes('server'), await mps.look(device, signal)]).toEqual([[], { kind: 'absent' }]);
    // Whoever else carries the directory in its environment is not MPS's own.
    expect(readProc(client)).toBeDefined();
  });

  it('of an earlier boot is forgotten, whoever has its pid now', async () => {
    mkdirSync(directory(), { recursive: true });
    writeFileSync(`${directory()}/device`, `${device}\n`);
    writeFileSync(`${directory()}/nvidia-cuda-mps-control.pid`, `${process.pid}\n`);
    const mps = control();

    expect(await mps.look(device, signal)).toEqual({ kind: 'dead', servers: [] });
    expect(await mps.devices()).toEqual([]);
    expect(existsSync(directory())).toBe(false);
  });

  it('lets others reach it and nobody else change it, and gets nothing of the environment that it does not need', async () => {
    const mps = control();
    await mps.start(device, signal);

    const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);
    expect([mode(scratch.path('mps')), mode(directory()), mode(`${directory()}/logs`)]).toEqual(['711', '755', '755']);
    const [daemon] = fake.processes('control');
    const environment = readFileSync(`/proc/${daemon}/environ`, 'latin1');
    expect(environment).toContain(`CUDA_VISIBLE_DEVICES=${device}\0`);
    expect(environment).not.toContain('hidden');
  });

  it('is not made where somebody else could change it', async () => {
    mkdirSync(scratch.path('mps'));
    chmodSync(scratch.path('mps'), 0o777);

    await expect(control().start(device, signal)).rejects.toThrow('is not a directory of this user alone');
  });
});

describe('a command that does not end', () => {
  it('is given up at its limit, keeps further ones from its device alone, and a daemon nobody needs is ended all the same', async () => {
    const mps = control({ askMs: 1500, quitMs: 300, endMs: 500 });
    const other = 'GPU-00000000-0000-0000-0000-000000000002';
    await mps.start(device, signal);
    await mps.start(other, signal);
    for (const command of ['get_server_list', 'quit']) fake.spoil(`hang-${command}`);

    expect(await mps.look(device, signal)).toMatchObject({ kind: 'unanswering', detail: expect.stringContaining('timed-out') });
    for (const command of ['get_server_list', 'quit']) fake.mend(`hang-${command}`);
    expect(await mps.look(other, signal)).toMatchObject({ kind: 'running' });
    await until(() => mps.hungCommands() === 0, 'what was killed is gone');
    fake.spoil('hang-quit');

    await mps.stop(device, signal);
    expect(fake.processes('control')).toHaveLength(1);
    expect(await mps.look(device, signal)).toEqual({ kind: 'absent' });
  });

  it('ends a conversation when the agent ends', async () => {
    const mps = control();
    await mps.start(device, signal);
    fake.spoil('hang-get_server_list');
    const ending = new AbortController();
    const looking = mps.look(device, ending.signal);
    ending.abort(new Error('the agent ends'));

    await expect(looking).rejects.toThrow('the agent ends');
  });
});

describe('what goes wrong', () => {
  it('is told in the words of the program', async () => {
    fake.spoil('broken');
    await expect(control().start(device, signal)).rejects.toThrow('MPS cannot be started here');

    const nowhere = new LocalMpsControl({
      directory: scratch.path('mps'),
      program: scratch.path('no-such-program'),
      nvidiaSmi: 'nvidia-smi',
      environment: {},
      clock: systemClock,
    });
    expect(await codeOf(nowhere.start(device, signal))).toBe('program-missing');
    await expect(nowhere.start(device, signal)).rejects.toThrow('set ASTRAGO_NVIDIA_CUDA_MPS_CONTROL to its path');
  });

  it('is a start that nobody answers', async () => {
    const root = scratch.path('mps-in-a-directory-with-a-name-that-is-much-longer-than-what-a-socket-may-be-called');

    expect(await codeOf(control({ startMs: 300 }, root).start(device, signal))).toBe('no-daemon');
  });

  it('is told of a client that cannot be let go', async () => {
    const mps = control();
    await mps.start(device, signal);
    fake.spoil('hang-terminate_client');

    expect(await codeOf(control({ terminateMs: 200 }).terminateClient(device, 5, 6, signal))).toBe('timed-out');
    fake.mend('hang-terminate_client');
    expect(await codeOf(control().terminateClient('GPU-none', 5, 6, signal))).toBe('no-daemon');
  });
});
