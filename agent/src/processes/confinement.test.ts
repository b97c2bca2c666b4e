// Against real processes: what a limit or another user is, the kernel decides.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Launched, LaunchRequest, ProcessState } from '../app/ports.ts';
import { Scratch } from '../testing/scratch.ts';
import { until } from '../testing/until.ts';
import { CgroupTree } from './cgroup-tree.ts';
import { confinementOf } from './confinement-of.ts';
import { type LauncherDeps, LocalLauncher } from './launcher.ts';
import { readBootId, readCommandLine, readProc } from './proc.ts';
import { closedTo, findWorkloadUser } from './workload-user.ts';

// Real processes on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 180_000 });

const isRoot = process.getuid?.() === 0;
/** The version-2 hierarchy of a machine that has both, without controllers; the whole one elsewhere. */
const hierarchy = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((directory) => existsSync(`${directory}/cgroup.procs`));

let scratch: Scratch;
let id: string;

beforeEach(() => {
  scratch = new Scratch();
  // The user of a workload has to get to its directory.
  chmodSync(scratch.directory, 0o711);
  id = scratch.allocation();
});
afterEach(() => scratch[Symbol.asyncDispose]());

function makeLauncher(more: Partial<LauncherDeps> = {}): LocalLauncher {
  return new LocalLauncher({
    directory: scratch.path('allocations'),
    bootId: readBootId(),
    environment: { PATH: '/usr/bin:/bin' },
    onExit: () => undefined,
    ...more,
  });
}

function request(script: string, more: Partial<LaunchRequest> = {}): LaunchRequest {
  return {
    allocation: id,
    workload: 'w',
    devices: [],
    command: ['sh', '-c', script],
    workingDirectory: undefined,
    ...more,
    environment: { ASTRAGO_ALLOCATION_ID: id, ...more.environment },
  };
}

async function run(launcher: LocalLauncher, script: string, more: Partial<LaunchRequest> = {}): Promise<readonly string[]> {
  await launcher.start(request(script, more));
  await until(async () => {
    const state: ProcessState = await launcher.state(id);
    return state.kind === 'exited' && state;
  }, 'the command ends');
  return readFileSync(scratch.path('allocations', id, 'output.log'), 'utf8')
    .trimEnd()
    .split('\n');
}

/** Soft and hard, as the kernel prints them. */
function limitIn(lines: readonly string[], name: string): readonly string[] {
  return (lines.find((line) => line.startsWith(name)) ?? '').slice(name.length).trim().split(/\s+/).slice(0, 2);
}

describe('limits without control groups', () => {
  it('are limits of each process: open files, and memory that is written rather than reserved', async () => {
    const lines = await run(makeLauncher(), 'cat /proc/self/limits', { limits: { openFiles: 99, memoryMiB: 64, cpuMilli: 500 } });

    expect(limitIn(lines, 'Max open files')).toEqual(['99', '99']);
    expect(limitIn(lines, 'Max data size')).toEqual([String(64 * 2 ** 20), String(64 * 2 ** 20)]);
    expect(limitIn(lines, 'Max address space')).toEqual(['unlimited', 'unlimited']);
    expect(makeLauncher().limitsKeptBy).toContain('CPU is not limited');
  });

  it('are none where none were ordered', async () => {
    const own = readFileSync('/proc/self/limits', 'utf8').split('\n');
    const lines = await run(makeLauncher(), 'cat /proc/self/limits');

    for (const name of ['Max data size', 'Max processes']) expect(limitIn(lines, name)).toEqual(limitIn(own, name));
    expect(await makeLauncher().launched(id)).not.toHaveProperty('wrapped');
  });

  it('that cannot be kept keep the command from starting', async () => {
    const launcher = makeLauncher({ tools: scratch.directory });
    await expect(launcher.start(request('true', { limits: { openFiles: 99 } }))).rejects.toThrow(
      'this node has no prlimit (of util-linux) to keep its limits',
    );
    expect(await launcher.state(id)).toEqual({ kind: 'absent' });
  });

  it('do not hide how a command fails to start', async () => {
    const launcher = makeLauncher();
    await launcher.start({ ...request('', { limits: { openFiles: 99 } }), command: ['/no/such/program'] });
    expect(await until(async () => (await launcher.state(id)).kind === 'exited' && launcher.state(id), 'it ends')).toMatchObject({
      exitCode: 127,
    });
  });
});

describe.runIf(isRoot)('a workload of an agent that is root', () => {
  const asNobody = async (): Promise<LocalLauncher> => makeLauncher({ user: await findWorkloadUser('nobody') });

  it('runs as its user, with no way back, in a directory of its own', async () => {
    const { uid, gid } = await findWorkloadUser('nobody');
    const lines = await run(
      await asNobody(),
      'id -u; id -G; grep -E "^(NoNewPrivs|CapEff)" /proc/self/status; touch mine && ls; echo $USER $HOME',
    );

    expect(lines).toEqual([
      String(uid),
      String(gid),
      'CapEff:\t0000000000000000',
      'NoNewPrivs:\t1',
      'mine',
      `nobody ${scratch.path('allocations', id, 'work')}`,
    ]);
  });

  it('can neither read nor change what is kept of it, but may open its own output again', async () => {
    const attempts = [
      'cat ../launch.json',
      'echo 0 > ../exit',
      'echo > ../owner',
      'rm -f ../output.log',
      'mv ../work ../w',
      'ls ..',
      'ls ../..',
    ];
    const lines = await run(
      await asNobody(),
      `${attempts.map((one) => `(${one}) >/dev/null 2>&1 && echo "did: ${one}"`).join('; ')}; echo said > /dev/stdout; exit 3`,
    );

    expect(lines).toEqual(['said']);
    const mode = (name: string): number => statSync(scratch.path('allocations', id, name)).mode & 0o777;
    expect([mode('launch.json'), mode('output.log'), mode('.')]).toEqual([0o600, 0o600, 0o711]);
  });

  it('has exactly its environment, and none of it reaches what runs as root before it', async () => {
    const launcher = await asNobody();
    const environment = {
      LD_PRELOAD: '/no/such/library.so',
      IFS: 'x',
      ENV: '/no/such/file',
      PATH: '/bin',
      A_SECRET: 'a b\n"$(id)"`\'',
      PS4: '+',
    };
    await launcher.start(request('env -0 > env.new; mv env.new env; exec sleep 300', { environment }));
    const told = await until(
      () =>
        existsSync(scratch.path('allocations', id, 'work', 'env')) && readFileSync(scratch.path('allocations', id, 'work', 'env'), 'utf8'),
      'it tells',
    );

    const found = new Map(told.split('\0').map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]));
    for (const [name, value] of Object.entries(environment)) if (name !== 'IFS') expect(found.get(name)).toBe(value);
    expect([...found.keys()].filter((name) => name.startsWith('ASTRAGO_'))).toEqual(['ASTRAGO_ALLOCATION_ID']);
    const state = await launcher.state(id);
    const ofSupervisor = readFileSync(`/proc/${state.kind === 'running' ? state.pid : 0}/environ`, 'utf8').split('\0');
    expect(ofSupervisor.filter((entry) => /^(LD_|IFS=|ENV=|PS4=)/.test(entry))).toEqual([]);
    for (const pids of (await launcher.pidsByAllocation()).values())
      for (const pid of pids) expect(readCommandLine(pid).join(' ')).not.toContain('a b\n');
  });

  it('may make so many processes beyond those that its user has', async () => {
    const lines = await run(await asNobody(), 'cat /proc/self/limits', { limits: { processes: 20 } });
    const [soft] = limitIn(lines, 'Max processes');
    expect(Number(soft)).toBeGreaterThanOrEqual(20);
    expect(Number(soft)).toBeLessThan(1000);
  });

  it('can be followed by a further command with the same user and environment', async () => {
    const launcher = await asNobody();
    await launcher.start(request('exec sleep 300', { environment: { ANSWER: '42' } }));
    const { wrapped } = (await launcher.launched(id)) as Launched;
    const [program = '', ...words] = wrapped?.words ?? [];
    const beside = spawnSync(program, [...words, 'sh', '-c', 'id -un; echo $ANSWER'], {
      env: { ...wrapped?.environment },
      encoding: 'utf8',
    });

    expect(beside.stdout).toBe('nobody\n42\n');
  });

  it('can be told to end, and killed', async () => {
    const launcher = await asNobody();
    await launcher.start(request('exec sleep 300'));
    await until(async () => (await launcher.signal(id, 'SIGTERM')) > 0 || (await launcher.state(id)).kind === 'exited', 'it is told');
    expect(await until(async () => (await launcher.state(id)).kind === 'exited' && launcher.state(id), 'it ends')).toMatchObject({
      exitCode: 143,
    });
  });

  it('is not started in a directory that its user cannot reach', async () => {
    mkdirSync(scratch.path('closed', 'inner'), { recursive: true, mode: 0o700 });
    chmodSync(scratch.path('closed', 'inner'), 0o777);
    const launcher = await asNobody();
    await expect(launcher.start(request('true', { workingDirectory: scratch.path('closed', 'inner') }))).rejects.toThrow(
      `is out of reach for user nobody, who may not enter ${scratch.path('closed')}`,
    );
    expect(await closedTo(await findWorkloadUser('nobody'), scratch.directory)).toBeUndefined();
  });
});

describe('whom workloads run as', () => {
  const config = { workloadUser: undefined, allowRootWorkloads: false, cgroup: undefined };

  it('is not root by oversight: an agent that is root and was told nothing starts none', async () => {
    const { refusal } = await confinementOf(config, 0);
    await expect(makeLauncher({ refusal }).start(request('true'))).rejects.toThrow('name an unprivileged user in ASTRAGO_WORKLOAD_USER');
    expect(await confinementOf({ ...config, allowRootWorkloads: true }, 0)).toMatchObject({ refusal: undefined, user: undefined });
    expect(await confinementOf(config, 1000)).toMatchObject({ refusal: undefined, user: undefined });
    expect(await confinementOf({ ...config, workloadUser: 'nobody' }, 0)).toMatchObject({ refusal: undefined, user: { name: 'nobody' } });
  });

  it('is an error where that cannot be', async () => {
    await expect(confinementOf({ ...config, workloadUser: 'nobody-at-all' }, 0)).rejects.toThrow('there is no user "nobody-at-all"');
    await expect(confinementOf({ ...config, workloadUser: 'root' }, 0)).rejects.toThrow('name an unprivileged user');
    await expect(confinementOf({ ...config, workloadUser: 'nobody' }, 1000)).rejects.toThrow('only an agent that runs as root');
    const { uid } = await findWorkloadUser('nobody');
    expect(await confinementOf({ ...config, workloadUser: 'nobody' }, uid)).toMatchObject({ user: undefined });
  });
});

describe('a control group', () => {
  /** Files as the kernel shows them, without a kernel behind. */
  function paper(controllers: string): string {
    const directory = scratch.path('groups');
    mkdirSync(directory, { recursive: true });
    writeFileSync(scratch.path('groups', 'cgroup.controllers'), controllers);
    return directory;
  }

  it('has the limits of the whole allocation', async () => {
    const tree = await CgroupTree.open(paper('cpuset cpu io memory pids'));
    await tree.prepare('alloc_1', { cpuMilli: 2500, memoryMiB: 64, processes: 10, openFiles: 5 });
    const read = (name: string): string => readFileSync(scratch.path('groups', name), 'utf8');

    expect(read('cgroup.subtree_control')).toBe('+cpu +memory +pids');
    expect([read('alloc_1/cpu.max'), read('alloc_1/memory.max'), read('alloc_1/pids.max')]).toEqual(['250000 100000', '67108864', '10']);
  });

  it('without the controller for a limit keeps the command from starting', async () => {
    const launcher = makeLauncher({ cgroups: await CgroupTree.open(paper('memory')) });
    await expect(launcher.start(request('true', { limits: { cpuMilli: 500 } }))).rejects.toThrow('has no cpu controller');
  });

  it('has to be one', async () => {
    await expect(CgroupTree.open(scratch.directory)).rejects.toThrow('is not a control group of version 2');
  });

  it.runIf(isRoot && hierarchy !== undefined)('knows and ends whatever is in it, and goes with its allocation', async () => {
    const directory = `${hierarchy}/astrago-test-${process.pid}`;
    mkdirSync(directory);
    try {
      const cgroups = await CgroupTree.open(directory);
      const launcher = makeLauncher({ cgroups });
      const mark = scratch.path('pids');
      // Away from its session, its parents and its environment: only the kernel's account still knows it.
      await launcher.start(
        request(`setsid -f env -i sh -c 'echo $$ > ${mark}.new; mv ${mark}.new ${mark}; exec /bin/sleep 300'; exec sleep 300`),
      );
      const hidden = Number(await until(() => existsSync(mark) && readFileSync(mark, 'utf8'), 'it has hidden'));
      const state = await launcher.state(id);
      const supervisor = state.kind === 'running' ? state.pid : 0;

      expect(await launcher.membersOf(id)).toContain(hidden);
      expect(await cgroups.members(id)).not.toContain(supervisor);
      await launcher.signal(id, 'SIGKILL');
      await until(async () => (await launcher.membersOf(id)).length === 0, 'nothing is left');
      expect(readProc(hidden)?.state ?? 'Z').toBe('Z');
      expect(await until(async () => (await launcher.state(id)).kind === 'exited' && launcher.state(id), 'its end is known')).toMatchObject(
        { exitCode: 137 },
      );
      await launcher.forget(id);
      expect(existsSync(`${directory}/${id}`)).toBe(false);
    } finally {
      rmdirSync(directory);
    }
  });
});
