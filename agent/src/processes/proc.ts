// What /proc says of processes. A pid alone is no identity: with its start time and the boot id it is one.
import { readdir, readFile } from 'node:fs/promises';

export interface ProcFact {
  readonly pid: number;
  readonly session: number;
  /** Clock ticks since boot, as printed. */
  readonly startTime: string;
  readonly zombie: boolean;
}

export async function readProc(pid: number): Promise<ProcFact | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
    // The name may hold spaces and brackets; the fields count from its last bracket.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, , , session] = fields;
    const startTime = fields[19];
    if (state === undefined || startTime === undefined) return undefined;
    return { pid, session: Number(session), startTime, zombie: state === 'Z' || state === 'X' };
  } catch {
    return undefined;
  }
}

/** A variable of a process's first environment; `undefined` when it has none, is gone, or is another user's. */
async function environmentValue(pid: number, name: string): Promise<string | undefined> {
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

/**
 * Live processes by the allocation they belong to: those of a supervisor's session, and those that carry the
 * allocation's id in their environment, which finds daemons that left the session.
 */
export async function processesByAllocation(sessions: ReadonlyMap<number, string>, known: ReadonlySet<string>): Promise<ReadonlyMap<string, readonly number[]>> {
  const found = new Map<string, number[]>();
  const pids = (await readdir('/proc')).map(Number).filter((pid) => Number.isInteger(pid) && pid > 1);
  await Promise.all(
    pids.map(async (pid) => {
      const fact = await readProc(pid);
      if (fact === undefined || fact.zombie) return;
      const allocation = sessions.get(fact.session) ?? (await environmentValue(pid, 'ASTRAGO_ALLOCATION_ID'));
      if (allocation === undefined || !known.has(allocation)) return;
      const list = found.get(allocation) ?? [];
      list.push(pid);
      found.set(allocation, list);
    }),
  );
  return found;
}

export async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'latin1')).trim();
}
