// What /proc says of processes. A pid alone is no identity: with its start time and the boot id it is one.
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

export interface ProcFact {
  readonly pid: number;
  readonly parent: number;
  readonly session: number;
  /** Clock ticks since boot, as printed. */
  readonly startTime: string;
  /** The letter of `ps`. */
  readonly state: string;
}

/** `undefined` when there is no such process. `stat` takes no lock of the process, so that reading it cannot hang. */
export function readProc(pid: number): ProcFact | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The name may hold spaces and brackets; the fields count from its last bracket.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, parent, , session] = fields;
  const startTime = fields[19];
  if (state === undefined || startTime === undefined) return undefined;
  return { pid, parent: Number(parent), session: Number(session), startTime, state };
}

/** Ended, and only not yet fetched by its parent. */
export function isDead(fact: ProcFact): boolean {
  return fact.state === 'Z' || fact.state === 'X';
}

/** Every live process but kernel threads and the first. */
export function readAllProcs(): readonly ProcFact[] {
  const found: ProcFact[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid <= 1) continue;
    const fact = readProc(pid);
    if (fact !== undefined && !isDead(fact) && fact.parent !== kernelThreadParent) found.push(fact);
  }
  return found;
}

const kernelThreadParent = 2;

/** Threads of all processes of a user, absent: of our own; as the kernel counts them against a limit of processes. */
export async function countTasksOf(uid = process.getuid?.() ?? 0): Promise<number> {
  const counts = await Promise.all(
    readAllProcs().map(async ({ pid }) => {
      const status = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '');
      const own = Number(/^Uid:\s+(\d+)/m.exec(status)?.[1] ?? Number.NaN) === uid;
      return own ? Number(/^Threads:\s+(\d+)/m.exec(status)?.[1] ?? 0) : 0;
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

/**
 * A variable of a process's environment as it was at its last exec; `undefined` when it has none, is gone, or is
 * another user's. Takes a lock of the process: never to be asked of one that hangs in the kernel.
 */
export async function readEnvironmentValue(pid: number, name: string): Promise<string | undefined> {
  try {
    const environ = await readFile(`/proc/${pid}/environ`, 'latin1');
    const prefix = `${name}=`;
    return environ
      .split('\0')
      .find((entry) => entry.startsWith(prefix))
      ?.slice(prefix.length);
  } catch {
    return undefined;
  }
}

/** Empty for what is gone. Takes the same lock as the environment. */
export function readCommandLine(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
  } catch {
    return [];
  }
}

export function readBootId(file = '/proc/sys/kernel/random/boot_id'): string {
  return readFileSync(file, 'latin1').trim();
}
