// What a workload's command is run through, so that it has its limits and its user before its first instruction.
import { readFile } from 'node:fs/promises';
import type { ResourceLimits } from '#core/order';
import { type Launched, StartFault } from '../app/ports.ts';
import type { CgroupTree } from './cgroup-tree.ts';
import { findTool } from './find-tool.ts';
import { countTasksOf } from './proc.ts';
import type { WorkloadUser } from './workload-user.ts';

export interface ConfinementDeps {
  /** Absent: workloads run as the agent does. */
  readonly user: WorkloadUser | undefined;
  /** Absent: limits are kept process by process. */
  readonly cgroups: CgroupTree | undefined;
  /** A PATH on which the tools are found. */
  readonly tools: string;
}

/** Moves itself into the group whose file is its name, and becomes the command. */
const enter = 'echo 0 >"$0" && exec "$@"';

/**
 * Gives the command its environment. Until here it travels under names of ours: a root shell that was started with a
 * workload's `LD_PRELOAD` would run the workload's code as root.
 */
const unpack = `while [ "$ASTRAGO_ENV_COUNT" -gt 0 ]; do
  ASTRAGO_ENV_COUNT=$((ASTRAGO_ENV_COUNT - 1))
  eval "export \\"\\$ASTRAGO_ENV_$ASTRAGO_ENV_COUNT\\"; unset ASTRAGO_ENV_$ASTRAGO_ENV_COUNT"
done
unset ASTRAGO_ENV_COUNT
exec "$@"`;

type Wrapped = NonNullable<Launched['wrapped']>;

/**
 * Two ways of keeping limits, and which is in force depends on the node:
 *
 * - In a control group ({@link CgroupTree}) CPU, memory and processes are limited for the allocation as a whole.
 * - Else by `prlimit` for each process: memory as RLIMIT_DATA and not as RLIMIT_AS, since CUDA reserves far more
 *   address space than it uses; processes as RLIMIT_NPROC, which counts all threads of a user, and so allows as many
 *   beyond those that the user has at the start, and which does not bind root. CPU is not limited.
 *
 * Open files are limited for each process in either.
 *
 * @throws StartFault when a limit that was ordered cannot be kept: what is thought limited must not run without.
 */
export async function wrap(
  deps: ConfinementDeps,
  allocation: string,
  limits: ResourceLimits,
  environment: Readonly<Record<string, string>>,
): Promise<Wrapped | undefined> {
  const words: string[] = [];
  if (deps.cgroups !== undefined) {
    const obstacle = deps.cgroups.obstacle(limits);
    if (obstacle !== undefined) throw new StartFault(`its limits cannot be kept: ${obstacle}`);
    words.push('/bin/sh', '-c', enter, await deps.cgroups.prepare(allocation, limits));
  }
  const flags = await rlimitFlags(limits, deps);
  if (flags.length > 0) words.push(await tool('prlimit', 'keep its limits', deps), ...flags, '--');
  if (deps.user === undefined) return words.length === 0 ? undefined : { words, environment };
  const setpriv = await tool('setpriv', `run as user ${deps.user.name}`, deps);
  const { uid, gid } = deps.user;
  words.push(setpriv, `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--no-new-privs', '--', '/bin/sh', '-c', unpack, 'sh');
  return { words, environment: packed(environment) };
}

/** Names of ours stay as they are: no workload can set them, and by one of them its processes are known. */
function packed(environment: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const own = Object.entries(environment).filter(([name]) => name.startsWith('ASTRAGO_'));
  const others = Object.entries(environment).filter(([name]) => !name.startsWith('ASTRAGO_'));
  return {
    ...Object.fromEntries(own),
    ...Object.fromEntries(others.map(([name, value], index) => [`ASTRAGO_ENV_${index}`, `${name}=${value}`])),
    ASTRAGO_ENV_COUNT: String(others.length),
  };
}

async function rlimitFlags(
  { memoryMiB, processes, openFiles }: ResourceLimits,
  { cgroups, user }: ConfinementDeps,
): Promise<readonly string[]> {
  const flag = async (name: string, value: number, row: string): Promise<string> => `--${name}=${Math.min(value, await hardLimit(row))}`;
  const flags = openFiles === undefined ? [] : [await flag('nofile', openFiles, 'Max open files')];
  if (cgroups !== undefined) return flags;
  if (memoryMiB !== undefined) flags.push(await flag('data', memoryMiB * 2 ** 20, 'Max data size'));
  if (processes !== undefined) flags.push(await flag('nproc', processes + (await countTasksOf(user?.uid)), 'Max processes'));
  return flags;
}

/** What the agent may not raise it may not ask for: then the limit that there is is the lower one. */
async function hardLimit(row: string): Promise<number> {
  const line = (await readFile('/proc/self/limits', 'latin1')).split('\n').find((text) => text.startsWith(row));
  const hard = Number(line?.slice(row.length).trim().split(/\s+/)[1]);
  return Number.isNaN(hard) ? Number.POSITIVE_INFINITY : hard;
}

async function tool(name: string, what: string, { tools }: ConfinementDeps): Promise<string> {
  const found = await findTool(name, tools);
  if (found === undefined) throw new StartFault(`the command could not be started: this node has no ${name} (of util-linux) to ${what}`);
  return found;
}
