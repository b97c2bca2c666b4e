// Against real processes: every claim here is about what the kernel and a shell do.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type LaunchRequest, type ProcessState, StartFault } from '../app/ports.ts';
import { Scratch } from '../testing/scratch.ts';
import { until } from '../testing/until.ts';
import { LocalLauncher } from './launcher.ts';
import { readBootId, readProc } from './proc.ts';

// Real processes on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 180_000 });

let scratch: Scratch;
let launcher: LocalLauncher;
let id: string;
let exits: number;

function makeLauncher(bootId = readBootId()): LocalLauncher {
  return new LocalLauncher({
    directory: scratch.path('allocations'),
    bootId,
    environment: { PATH: process.env['PATH'] ?? '', HOME: '/' },
    onExit: () => {
      exits += 1;
    },
  });
}

function request(command: readonly string[], more: Partial<LaunchRequest> = {}): LaunchRequest {
  return {
    allocation: id,
    workload: 'w',
    devices: [],
    command,
    environment: { ASTRAGO_ALLOCATION_ID: id, ...more.environment },
    workingDirectory: more.workingDirectory,
  };
}

const sh = (script: string): readonly string[] => ['sh', '-c', script];

async function ends(by: LocalLauncher = launcher): Promise<ProcessState> {
  return until(async () => {
    const state = await by.state(id);
    return state.kind !== 'running' && state.kind !== 'absent' && state;
  }, 'the command ends');
}

async function run(
  command: readonly string[],
  more: Partial<LaunchRequest> = {},
): Promise<{ readonly code: number; readonly output: string }> {
  await launcher.start(request(command, more));
  const state = await ends();
  if (state.kind !== 'exited') throw new Error(`ended as ${state.kind}`);
  return { code: state.exitCode, output: await output() };
}

async function output(): Promise<string> {
  const found = await launcher.output(id, 0);
  if (found === undefined || found.size === 0) return '';
  const chunks: Uint8Array[] = [];
  for await (const { bytes } of found.read(found.size)) chunks.push(bytes);
  return Buffer.concat(chunks).toString('utf8');
}

beforeEach(() => {
  scratch = new Scratch();
  id = scratch.allocation();
  exits = 0;
  launcher = makeLauncher();
});
afterEach(() => scratch[Symbol.asyncDispose]());

describe('a launched command', () => {
  it('runs with its arguments as given, and leaves output and exit code', async () => {
    const ended = await run(sh('printf "%s|" "$0" "$@"; echo err >&2; exit 7').concat('a b', '$HOME', '*', ''));

    expect(ended).toEqual({ code: 7, output: 'a b|$HOME|*||err\n' });
    expect(exits).toBe(1);
  });

  it('reads nothing and runs in a directory of its own', async () => {
    expect(await run(sh('cat; pwd'))).toEqual({ code: 0, output: `${scratch.path('allocations', id, 'work')}\n` });
  });

  it.each([
    ['that is not there', ['/no/such/program'], 127],
    ['that nobody may run', ['/etc/passwd'], 126],
    ['named like a builtin of the shell', ['exit', '5'], 127],
    ['named like a function of the supervisor', ['read_start_time'], 127],
  ] as const)('%s ends as in a shell', async (_, command, code) => {
    expect((await run(command)).code).toBe(code);
  });

  it.each([
    ['TERM', 143],
    ['KILL', 137],
    ['SEGV', 139],
  ] as const)('ended by SIG%s has exit code %i', async (signal, code) => {
    expect((await run(sh(`kill -${signal} $$; sleep 10`))).code).toBe(code);
  });

  it('keeps every variable it was given, whatever the supervisor calls its own, and the PATH it asked for', async () => {
    const environment = { directory: 'a', boot: 'b', workdir: 'c', stat: 'd', PATH: '/nowhere', IFS: 'x', CDPATH: '/usr' };

    const ended = await run(['/usr/bin/env'], { environment });

    expect(ended.code).toBe(0);
    expect(ended.output.split('\n')).toEqual(
      expect.arrayContaining(['directory=a', 'boot=b', 'workdir=c', 'stat=d', 'PATH=/nowhere', 'HOME=/']),
    );
    expect(ended.output).not.toMatch(/ASTRAGO_(DIRECTORY|BOOT|PATH|STAT)/);
  });

  it('can be told to end by a signal it would not know if the supervisor had ignored it', async () => {
    await launcher.start(request(['sleep', '300']));

    // Until its supervisor has started the command there is nobody to tell; on its way there it may end by it unheard.
    await until(async () => (await launcher.signal(id, 'SIGTERM')) > 0 || (await launcher.state(id)).kind === 'exited', 'it is told');

    expect(await ends()).toMatchObject({ kind: 'exited', exitCode: 143 });
  });

  it('is refused with a clear text when it cannot be started', async () => {
    await expect(launcher.start(request(['true'], { workingDirectory: '/no/such/directory' }))).rejects.toThrow(
      'the working directory /no/such/directory does not exist on this node',
    );
    await expect(launcher.start(request(['true'], { workingDirectory: '/etc/hostname' }))).rejects.toThrow(
      '/etc/hostname is not a directory',
    );
    await expect(launcher.start(request(['true'], { environment: { 'a b': '1' } }))).rejects.toThrow(
      '"a b" is not a name for an environment variable',
    );
    await expect(launcher.start(request(['true', 'x'.repeat(3_000_000)]))).rejects.toThrow('E2BIG');
    await expect(launcher.start(request(['true\0']))).rejects.toThrow('could not be started');
    expect(await launcher.state(id)).toEqual({ kind: 'absent' });
  });
});

describe('starting twice', () => {
  it('runs once, by one agent or by several at the same moment', async () => {
    const mark = scratch.path('mark');
    const others = Array.from({ length: 5 }, () => makeLauncher());
    const wanted = request(sh(`echo ran >> ${mark}`));

    await Promise.all([launcher, ...others].map((one) => one.start(wanted)));
    await ends();
    await makeLauncher().start(wanted);

    expect(readFileSync(mark, 'utf8')).toBe('ran\n');
  });

  it('does not start what was barred, and bars only what has not started', async () => {
    const mark = scratch.path('mark');

    expect(await launcher.bar(id)).toBe(true);
    expect(await launcher.bar(id)).toBe(true);
    await expect(launcher.start(request(sh(`echo ran >> ${mark}`)))).rejects.toThrow(StartFault);
    expect(await launcher.state(id)).toEqual({ kind: 'absent' });
    expect(existsSync(mark)).toBe(false);

    id = scratch.allocation();
    await launcher.start(request(['true']));
    expect(await launcher.bar(id)).toBe(false);
  });
});

describe('an agent that is killed', () => {
  async function startAndKill(command: readonly string[]): Promise<void> {
    const program = join(import.meta.dirname, '../testing/start-and-wait.ts');
    const agent: ChildProcess = spawn(process.execPath, [program, scratch.path('allocations'), JSON.stringify(request(command))], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    await once(agent.stdout ?? agent, 'data');
    const gone = once(agent, 'exit');
    // The whole group, as a terminal or a service manager may do it.
    process.kill(-(agent.pid ?? 0), 'SIGKILL');
    await gone;
  }

  it('leaves its command running, printing, and ready to be adopted', async () => {
    const go = scratch.path('go');
    await startAndKill(sh(`echo before; while [ ! -e ${go} ]; do sleep 0.01; done; echo after; exit 3`));

    expect(await launcher.state(id)).toMatchObject({ kind: 'running' });
    expect(await launcher.launched(id)).toMatchObject({ workload: 'w', environment: { ASTRAGO_ALLOCATION_ID: id } });
    writeFileSync(go, '');

    expect(await ends()).toMatchObject({ kind: 'exited', exitCode: 3 });
    expect(await output()).toBe('before\nafter\n');
  });

  it('is followed by one that can stop the command', async () => {
    await startAndKill(['sleep', '300']);

    // Until its supervisor has started the command there is nobody to tell; on its way there it may end by it unheard.
    await until(async () => (await launcher.signal(id, 'SIGTERM')) > 0 || (await launcher.state(id)).kind === 'exited', 'it is told');

    expect(await ends()).toMatchObject({ kind: 'exited', exitCode: 143 });
  });
});

describe('a process tree', () => {
  const stubborn = (mark: string): string => `
    trap "" TERM
    setsid sh -c 'trap "" TERM; echo $$ >> ${mark}; while :; do sleep 1; done' &
    nohup sh -c 'trap "" TERM; echo $$ >> ${mark}; while :; do sleep 1; done' >/dev/null 2>&1 &
    setsid env -i sh -c 'trap "" TERM; echo $$ >> ${mark}; while :; do /bin/sleep 1; done' &
    while :; do sleep 1; done`;

  async function marked(mark: string, count: number): Promise<readonly number[]> {
    return until(() => {
      // Whole lines only: the file is there before anything is in it.
      const pids = existsSync(mark) ? readFileSync(mark, 'utf8').split('\n').slice(0, -1).map(Number) : [];
      return pids.length === count && pids;
    }, `${count} processes have said their pid`);
  }

  it('is found and killed whole: other sessions, ignored signals, a cleared environment', async () => {
    const mark = scratch.path('pids');
    await launcher.start(request(sh(stubborn(mark))));
    const pids = await marked(mark, 3);
    expect(await launcher.membersOf(id)).toEqual(expect.arrayContaining([...pids]));

    await launcher.signal(id, 'SIGTERM');
    expect((await launcher.state(id)).kind).toBe('running');
    await launcher.signal(id, 'SIGKILL');

    expect(await ends()).toMatchObject({ kind: 'exited', exitCode: 137 });
    await until(async () => (await launcher.membersOf(id)).length === 0, 'nothing is left');
    expect(pids.filter((pid) => readProc(pid)?.state !== undefined && readProc(pid)?.state !== 'Z')).toEqual([]);
  });

  it('has leftovers after the main command has ended, and they can be killed', async () => {
    const mark = scratch.path('pids');
    await launcher.start(
      request(sh(`setsid sh -c 'echo $$ >> ${mark}; exec sleep 300' & while [ ! -s ${mark} ]; do sleep 0.01; done; exit 4`)),
    );
    const [pid] = await marked(mark, 1);

    expect(await ends()).toMatchObject({ kind: 'exited', exitCode: 4 });
    expect(await launcher.membersOf(id)).toEqual([pid]);
    await launcher.signal(id, 'SIGKILL');

    await until(async () => (await launcher.membersOf(id)).length === 0, 'the leftover is gone');
  });

  it('is attributed to its allocation, supervisor included, and to no other', async () => {
    await launcher.start(request(['sleep', '300']));
    const first = id;
    id = scratch.allocation();
    await launcher.start(request(['sleep', '300']));

    const pids = await until(async () => {
      const found = await launcher.pidsByAllocation();
      return found.get(first)?.length === 2 && found.get(id)?.length === 2 && found;
    }, 'both commands run');

    for (const one of [first, id]) {
      const state = await launcher.state(one);
      expect(pids.get(one)).toHaveLength(2);
      expect(pids.get(one)).toContain(state.kind === 'running' && state.pid);
    }
  });

  it('whose supervisor was killed is lost, and what is left of it is found', async () => {
    const mark = scratch.path('pids');
    await launcher.start(request(sh(`echo $$ >> ${mark}; exec sleep 300`)));
    const state = await launcher.state(id);
    const [pid] = await marked(mark, 1);
    process.kill(state.kind === 'running' ? state.pid : 0, 'SIGKILL');

    expect(await ends()).toMatchObject({ kind: 'lost', rebooted: false });
    expect(await launcher.membersOf(id)).toEqual([pid]);
    await launcher.signal(id, 'SIGKILL');
    await until(async () => (await launcher.membersOf(id)).length === 0, 'nothing is left');
  });
});

describe('after a reboot', () => {
  it('what ran is lost and what had ended keeps its exit code', async () => {
    const later = makeLauncher('another boot');
    await launcher.start(request(['sleep', '300']));
    expect(await later.state(id)).toMatchObject({ kind: 'lost', rebooted: true });

    id = scratch.allocation();
    await run(sh('exit 9'));
    expect(await later.state(id)).toMatchObject({ kind: 'exited', exitCode: 9 });
  });

  it('what was about to start is lost too: it may have run', async () => {
    await launcher.start(request(['sleep', '300']));
    rmSync(scratch.path('allocations', id, 'owner'));

    expect(await makeLauncher('another boot').state(id)).toMatchObject({ kind: 'lost', rebooted: true });
  });

  it('a process that has the number of a supervisor is not taken for it', async () => {
    mkdirSync(scratch.path('allocations', id), { recursive: true });
    writeFileSync(scratch.path('allocations', id, 'owner'), `${process.pid} 12345 ${readBootId()}\n`);

    expect(await launcher.state(id)).toMatchObject({ kind: 'lost', rebooted: false });
    expect(await launcher.membersOf(id)).toEqual([]);
  });
});

describe('an ended allocation that is forgotten', () => {
  it('leaves nothing but its output, of which the oldest go', async () => {
    await run(sh('echo told'));

    await launcher.forget(id);

    expect(await launcher.known()).toEqual([]);
    expect(await output()).toBe('told\n');
    expect(await launcher.state(id)).toEqual({ kind: 'absent' });
  });

  it('has an exit code that cannot be read as lost, not as zero', async () => {
    await launcher.start(request(['true']));
    await until(() => existsSync(scratch.path('allocations', id, 'exit')), 'the exit code is there');
    writeFileSync(scratch.path('allocations', id, 'exit'), '');
    appendFileSync(scratch.path('allocations', id, 'output.log'), '');

    const later = makeLauncher();
    expect(await ends(later)).toMatchObject({ kind: 'lost' });
  });
});
