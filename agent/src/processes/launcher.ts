import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Launched, type LaunchRequest, type Output, type ProcessLauncher, type ProcessState, StartFault } from '../app/ports.ts';
import { AllocationFiles, type Launch, type Owner } from './allocation-files.ts';
import type { CgroupTree } from './cgroup-tree.ts';
import { wrap } from './confinement.ts';
import { EndedOutputs } from './ended-outputs.ts';
import { readFrom, trimOutput } from './output-file.ts';
import { readCommandLine } from './proc.ts';
import { isAlive, ProcessTable, type Session } from './process-table.ts';
import { punchHoleBy } from './punch-hole.ts';
import { closedTo, type WorkloadUser } from './workload-user.ts';

const supervisor = join(import.meta.dirname, 'supervisor.sh');
/** A name that a shell can hand on. */
const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** A tree that forks while it is killed is looked at again this often. */
const killPassesMax = 10;

const outputMaxBytes = 128 * 1024 * 1024;
const endedMaxBytes = 4 * 1024 * 1024 * 1024;

export interface LauncherDeps {
  readonly directory: string;
  readonly bootId: string;
  /**
   * What every workload has beside what its order gives it: nothing of the agent's own environment is passed on. HOME
   * and USER are added where they are missing: of the user it runs as, or the working directory where that has no home.
   */
  readonly environment: Readonly<Record<string, string>>;
  /** The PATH of the supervisor's and our own tools; absent: that of `environment`. */
  readonly tools?: string | undefined;
  /** Whom workloads run as; absent: whoever the agent is. */
  readonly user?: WorkloadUser | undefined;
  /** Control groups for workloads; absent: limits are kept process by process, see {@link wrap}. */
  readonly cgroups?: CgroupTree | undefined;
  /** Why no workload may be started here at all. */
  readonly refusal?: string | undefined;
  /** A command that this agent started has ended. Of the others the files tell. */
  readonly onExit: () => void;
  /** How much of the output of one allocation is kept; older output is given up by {@link LocalLauncher.trimOutputs}. */
  readonly outputMaxBytes?: number;
  /** How many outputs of forgotten allocations are kept, and how much of them together; the oldest go first. */
  readonly endedMax?: number;
  readonly endedMaxBytes?: number;
}

/**
 * Starts workload commands under a supervisor of their own, outside the agent's session, so that they outlive the
 * agent. What there is to know of one is in files, see {@link AllocationFiles}; this class only remembers what
 * cannot change any more.
 */
export class LocalLauncher implements ProcessLauncher {
  readonly #deps: LauncherDeps;
  readonly #ended: EndedOutputs;
  readonly #table = new ProcessTable();
  readonly #owners = new Map<string, Owner>();
  readonly #final = new Map<string, ProcessState>();
  /** Started by this agent and not ended: the kernel tells, no file has to be looked at. */
  readonly #children = new Set<string>();

  constructor(deps: LauncherDeps) {
    this.#deps = deps;
    this.#ended = new EndedOutputs({
      directory: join(deps.directory, 'ended'),
      countMax: deps.endedMax ?? 2000,
      bytesMax: deps.endedMaxBytes ?? endedMaxBytes,
    });
  }

  /** Which of the two ways of {@link wrap} is in force, for a person. */
  get limitsKeptBy(): string {
    const { cgroups } = this.#deps;
    if (cgroups === undefined) return 'limits of each process; CPU is not limited';
    const kinds = [...cgroups.controllers].join(', ');
    return `control groups in ${cgroups.directory}: ${kinds === '' ? 'nothing can be limited' : kinds}`;
  }

  async start(request: LaunchRequest): Promise<void> {
    const { allocation } = request;
    const files = this.#files(allocation);
    const badName = Object.keys(request.environment).find((name) => !variableName.test(name));
    if (badName !== undefined) throw new StartFault(`${JSON.stringify(badName)} is not a name for an environment variable`);
    if (this.#deps.refusal !== undefined) throw new StartFault(this.#deps.refusal);
    await this.#makePlaces(files);
    const workingDirectory = request.workingDirectory ?? files.ownWork;
    await this.#checkDirectory(workingDirectory);
    const environment = { ...this.#person(workingDirectory), ...this.#deps.environment, ...request.environment };
    const { user, cgroups } = this.#deps;
    const wrapped = await wrap({ user, cgroups, tools: this.#tools }, allocation, request.limits ?? {}, environment);
    const launch = { ...request, workingDirectory, environment, wrapped, bootId: this.#deps.bootId };
    // Durable before anything runs: after a reboot it must be known that this was started, whatever else was lost.
    await files.writeLaunch(launch);
    await this.#spawn(files, launch);
  }

  get #tools(): string {
    return this.#deps.tools ?? this.#deps.environment['PATH'] ?? '/usr/bin:/bin';
  }

  /** Where workloads have a user of their own, the directory stays ours, and only what is in `work` is theirs to change. */
  async #makePlaces(files: AllocationFiles): Promise<void> {
    const { user, directory } = this.#deps;
    await mkdir(files.ownWork, { recursive: true, mode: 0o700 });
    // Open to its own user only if somebody is to get in: the supervisor writes through what it has opened.
    const output = await open(files.output, 'a', 0o600);
    try {
      if (user === undefined) return;
      await output.chown(user.uid, user.gid);
      await chown(files.ownWork, user.uid, user.gid);
      for (const passed of [directory, files.directory]) await chmod(passed, 0o711);
    } finally {
      await output.close();
    }
  }

  async #checkDirectory(workingDirectory: string): Promise<void> {
    const { user } = this.#deps;
    const found = await stat(workingDirectory).catch(() => undefined);
    if (found === undefined) throw new StartFault(`the working directory ${workingDirectory} does not exist on this node`);
    if (!found.isDirectory()) throw new StartFault(`${workingDirectory} is not a directory`);
    const closed = user === undefined ? undefined : await closedTo(user, workingDirectory);
    if (closed !== undefined)
      throw new StartFault(`the working directory ${workingDirectory} is out of reach for user ${user?.name}, who may not enter ${closed}`);
  }

  #person(workingDirectory: string): { readonly HOME: string; readonly USER: string } {
    const { name, home } = this.#deps.user ?? self();
    return { HOME: existsSync(home) ? home : workingDirectory, USER: name };
  }

  async #spawn(files: AllocationFiles, launch: Launch): Promise<void> {
    const { allocation, workingDirectory, wrapped, bootId } = launch;
    const child = spawnChecked(
      [supervisor, files.directory, bootId, this.#tools, workingDirectory, ...(wrapped?.words ?? []), ...launch.command],
      wrapped?.environment ?? launch.environment,
    );
    child.on('exit', () => {
      this.#children.delete(allocation);
      this.#deps.onExit();
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (cause) => reject(new StartFault(`the command could not be started: ${cause.message}`, { cause })));
    });
    child.unref();
    const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
    // From here on the files tell; before the supervisor has signed them, a second look would take it for absent.
    let owner = await this.#owner(allocation);
    while (owner === undefined && !ended()) {
      await pause(2);
      owner = await this.#owner(allocation);
    }
    owner ??= await this.#owner(allocation);
    if (owner === undefined) throw new StartFault('the command could not be started: its supervisor could not write to the data directory');
    // Whoever barred it has called it failed; a ledger that was lost does not know that any more.
    if (owner.pid === nobody) throw new StartFault('it was called failed before it was started, so it is not started any more');
    if (owner.pid === child.pid && !ended()) this.#children.add(allocation);
  }

  async bar(allocation: string): Promise<boolean> {
    const files = this.#files(allocation);
    const owner = (await this.#owner(allocation)) ?? (await files.signAsNobody(this.#deps.bootId));
    return owner.pid === nobody;
  }

  async state(allocation: string): Promise<ProcessState> {
    const final = this.#final.get(allocation);
    if (final !== undefined) return final;
    const owner = await this.#owner(allocation);
    if (owner === undefined) {
      const launch = await this.#files(allocation).readLaunch();
      const rebooted = launch !== undefined && launch.bootId !== this.#deps.bootId;
      return rebooted ? { kind: 'lost', startedAtMs: undefined, rebooted } : { kind: 'absent' };
    }
    if (owner.pid === nobody) return { kind: 'absent' };
    const here = owner.bootId === this.#deps.bootId;
    if (here && (this.#children.has(allocation) || isAlive(owner))) return { kind: 'running', pid: owner.pid, startedAtMs: owner.atMs };
    // The supervisor leaves the exit code before it ends, so what is not there now never comes.
    const exit = await this.#files(allocation).readExit();
    const state: ProcessState =
      exit === undefined
        ? { kind: 'lost', startedAtMs: owner.atMs, rebooted: !here }
        : { kind: 'exited', exitCode: exit.code, startedAtMs: owner.atMs, endedAtMs: exit.atMs };
    this.#final.set(allocation, state);
    return state;
  }

  async launched(allocation: string): Promise<Launched | undefined> {
    return this.#files(allocation).readLaunch();
  }

  async pidsByAllocation(): Promise<ReadonlyMap<string, readonly number[]>> {
    const known = await this.known();
    const sessions = await Promise.all(known.filter((id) => !this.#final.has(id)).map((id) => this.#session(id)));
    const found = await this.#table.byAllocation(
      sessions.filter((session) => session !== undefined),
      await this.#grouped(known),
    );
    return new Map([...found].filter(([id]) => known.includes(id)));
  }

  async membersOf(allocation: string): Promise<readonly number[]> {
    const session = await this.#session(allocation);
    const sessions = session === undefined ? [] : [session];
    const found = (await this.#table.byAllocation(sessions, await this.#grouped([allocation]))).get(allocation) ?? [];
    return session !== undefined && isAlive(session) ? found.filter((pid) => pid !== session.pid) : found;
  }

  async signal(allocation: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<number> {
    if (signal === 'SIGKILL') await this.#deps.cgroups?.kill(allocation);
    const told = new Set<number>();
    const seen = new Set<number>();
    for (let pass = 0; pass < killPassesMax; pass += 1) {
      const fresh = (await this.membersOf(allocation)).filter((pid) => !seen.has(pid));
      for (const pid of fresh) {
        seen.add(pid);
        const kind = kindOf(pid, this.#files(allocation).directory);
        // A fork of the supervisor on its way to become the command may swallow a signal that the command would heed.
        if (kind === 'command') told.add(pid);
        if (kind !== 'tool') trySignal(pid, signal);
      }
      // What was forked between the look and the kill is found by the next look; SIGTERM is a request and needs none.
      if (fresh.length === 0 || signal === 'SIGTERM') break;
    }
    return told.size;
  }

  /** Whether a process is the supervisor of an allocation that this launcher has looked at. */
  isSupervisor(pid: number, startTime: string): boolean {
    for (const owner of this.#owners.values())
      if (owner.pid === pid && owner.startTime === startTime && owner.bootId === this.#deps.bootId) return true;
    return false;
  }

  async known(): Promise<readonly string[]> {
    const entries = await readdir(this.#deps.directory, { withFileTypes: true }).catch((cause: unknown) => {
      // Before the first start. Anything else must not make strangers of what runs here.
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return [];
      throw cause;
    });
    return entries.filter((entry) => entry.isDirectory() && entry.name !== 'ended').map((entry) => entry.name);
  }

  async forget(allocation: string): Promise<void> {
    const files = this.#files(allocation);
    await this.#ended.keep(allocation, files.output);
    await this.#deps.cgroups?.remove(allocation);
    await rm(files.directory, { recursive: true, force: true, maxRetries: 3 });
    this.#owners.delete(allocation);
    this.#final.delete(allocation);
  }

  /**
   * Gives up the older half of outputs that are too large, and the oldest outputs of forgotten allocations. Goes by what
   * is on disk, so that whatever grew while no agent was there is trimmed by the next one; until then it grows.
   *
   * @returns what could not be trimmed, with the reason.
   */
  async trimOutputs(): Promise<readonly { readonly allocation: string; readonly cause: string }[]> {
    const troubles: { readonly allocation: string; readonly cause: string }[] = [];
    await this.#ended.trim();
    for (const allocation of await this.known()) {
      try {
        await trimOutput(this.#files(allocation).output, this.#deps.outputMaxBytes ?? outputMaxBytes, punchHoleBy(this.#tools));
      } catch (cause) {
        troubles.push({ allocation, cause: cause instanceof Error ? cause.message : String(cause) });
      }
    }
    return troubles;
  }

  async output(allocation: string, offset: number): Promise<Output | undefined> {
    return readFrom([this.#files(allocation).output, this.#ended.file(allocation)], offset);
  }

  async #grouped(allocations: readonly string[]): Promise<ReadonlyMap<number, string>> {
    const { cgroups } = this.#deps;
    if (cgroups === undefined) return new Map();
    const groups = await Promise.all(allocations.map(async (id) => (await cgroups.members(id)).map((pid) => [pid, id] as const)));
    return new Map(groups.flat());
  }

  #files(allocation: string): AllocationFiles {
    return new AllocationFiles(join(this.#deps.directory, allocation));
  }

  async #owner(allocation: string): Promise<Owner | undefined> {
    const known = this.#owners.get(allocation);
    if (known !== undefined) return known;
    const owner = await this.#files(allocation).readOwner();
    if (owner !== undefined) this.#owners.set(allocation, owner);
    return owner;
  }

  async #session(allocation: string): Promise<Session | undefined> {
    const owner = await this.#owner(allocation);
    return owner === undefined || owner.pid === nobody || owner.bootId !== this.#deps.bootId
      ? undefined
      : { allocation, pid: owner.pid, startTime: owner.startTime };
  }
}

/** Owner of an allocation that must never start. */
const nobody = 0;

function self(): { readonly name: string; readonly home: string } {
  try {
    const { username, homedir } = userInfo();
    return { name: username, home: homedir };
  } catch {
    // A number that nobody gave a name, as in many containers.
    return { name: String(process.getuid?.() ?? ''), home: '' };
  }
}

function spawnChecked(args: readonly string[], environment: Readonly<Record<string, string>>): ReturnType<typeof spawn> {
  try {
    return spawn('/bin/sh', args, { detached: true, stdio: 'ignore', cwd: '/', env: { ...environment } });
  } catch (cause) {
    throw new StartFault(`the command could not be started: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

function trySignal(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone meanwhile, or of another user: then it stays a member, and the allocation is not released.
  }
}

/** A process of an allocation: part of the work, the supervisor's fork before it is that, or `ln`, `rm`, `mv` of its own. */
function kindOf(pid: number, directory: string): 'command' | 'fork' | 'tool' {
  const words = readCommandLine(pid);
  // None is shown for a moment by what is becoming a program, and by what is ending.
  if (words[1] === supervisor || words.join('') === '') return 'fork';
  return words.some((word) => word.startsWith(`${directory}/owner`) || word.startsWith(`${directory}/exit`)) ? 'tool' : 'command';
}
