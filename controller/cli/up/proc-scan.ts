// Which processes of this machine belong to a data directory, found by what they were started with.
// The book of pids is not enough: a supervisor may be killed between starting a process and noting it.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { dataFiles } from '../locate/data-directory.ts';
import { identify, type ProcessIdentity } from '../locate/process-identity.ts';
import type { Programs } from './programs.ts';

/** Set for every process that `up` starts, to the data directory. */
export const directoryMark = 'ASTRAGO_UP_DIRECTORY';

/** Controllers and agents of this directory. Only these very scripts: what an agent has started must outlive it. */
export function daemonsOf(directory: string, programs: Programs): ProcessIdentity[] {
  return processes().filter(
    ({ environ, argv }) =>
      environ.includes(`${directoryMark}=${directory}`) && (argv.includes(programs.controller) || argv.includes(programs.agent)),
  );
}

/** Everything that still runs because of this directory: daemons, their tools, workloads with whatever these have started. */
export function everythingOf(directory: string): ProcessIdentity[] {
  const all = processes();
  const allocations = allocationsIn(directory);
  const owned = all.filter((one) => one.environ.includes(`${directoryMark}=${directory}`) || isWorkload(one, directory, allocations));
  // A command may have cleared its environment, but not left the session it was started in.
  const sessions = new Set(owned.map((one) => one.pid));
  return all.filter((one) => owned.includes(one) || sessions.has(one.session));
}

interface Process extends ProcessIdentity {
  readonly session: number;
  readonly environ: readonly string[];
  readonly argv: readonly string[];
}

const allocationMark = 'ASTRAGO_ALLOCATION_ID=';

/** Another cluster on this machine has workloads too: the mark alone is not enough. */
function isWorkload(one: Process, directory: string, allocations: ReadonlySet<string>): boolean {
  const allocation = one.environ.find((entry) => entry.startsWith(allocationMark))?.slice(allocationMark.length);
  if (allocation === undefined) return false;
  return (
    allocations.has(allocation) ||
    one.environ.some((entry) => entry.includes(`=${directory}/`)) ||
    one.argv.some((word) => word.startsWith(`${directory}/`))
  );
}

/** Names of what the agents keep for each allocation: a directory of the allocation's id, one level into their data. */
function allocationsIn(directory: string): ReadonlySet<string> {
  const { nodes } = dataFiles(directory);
  const inside = (path: string): string[] =>
    existsSync(path)
      ? readdirSync(path, { withFileTypes: true })
          .filter((entry) => entry.isDirectory())
          .map((entry) => join(path, entry.name))
      : [];
  return new Set(
    inside(nodes)
      .flatMap((node) => inside(join(node, 'agent')))
      .flatMap(inside)
      .map((path) => basename(path)),
  );
}

function processes(): Process[] {
  const found: Process[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid < 2 || pid === process.pid) continue;
    // Taken before the rest is read: if the pid passes to another process meanwhile, the identity is void.
    const identity = identify(pid);
    if (identity === undefined) continue;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const session = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3]);
      found.push({ ...identity, session, environ: words(`/proc/${pid}/environ`), argv: words(`/proc/${pid}/cmdline`) });
    } catch {
      // Another user's process, or it has ended.
    }
  }
  return found;
}

function words(file: string): string[] {
  return readFileSync(file, 'utf8').split('\0');
}
