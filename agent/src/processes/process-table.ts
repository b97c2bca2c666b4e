import { isDead, type ProcFact, readAllProcs, readEnvironmentValue, readProc } from './proc.ts';

export interface Session {
  readonly allocation: string;
  /** Of the supervisor, who leads the session. */
  readonly pid: number;
  readonly startTime: string;
}

/** How long after its start a process may still be between fork and exec, with the environment of its parent. */
const youthTicks = 1000;

/**
 * Which live processes belong to which allocation: those of a supervisor's session, those that carry the
 * allocation's id in their environment, which finds daemons that left the session, and children of either.
 */
export class ProcessTable {
  /** By pid and start time; reading an environment costs, and it hardly ever changes. */
  #tagged = new Map<string, string | undefined>();
  #scanning: Promise<readonly Tagged[]> | undefined;
  #next: Promise<readonly Tagged[]> | undefined;

  /**
   * Every pid by allocation, supervisors included. The look begins after the call.
   *
   * @param grouped by the kernel's own account of control groups, which nothing leaves unseen.
   */
  async byAllocation(
    sessions: readonly Session[],
    grouped: ReadonlyMap<number, string> = new Map(),
  ): Promise<ReadonlyMap<string, readonly number[]>> {
    const processes = await this.#scan();
    const owner = new Map<number, string>();
    const leaders = new Map(sessions.filter(holdsItsNumber).map((session) => [session.pid, session.allocation]));
    for (const { fact, tag } of processes) {
      const allocation = grouped.get(fact.pid) ?? leaders.get(fact.session) ?? tag;
      if (allocation !== undefined) owner.set(fact.pid, allocation);
    }
    adoptChildren(processes, owner);
    const found = new Map<string, number[]>();
    for (const [pid, allocation] of owner) found.set(allocation, [...(found.get(allocation) ?? []), pid]);
    return found;
  }

  /** Callers of the same moment share one look, but nobody gets one that began before the call. */
  #scan(): Promise<readonly Tagged[]> {
    if (this.#next !== undefined) return this.#next;
    const before = this.#scanning ?? Promise.resolve();
    const next = before.then(() => {
      this.#scanning = next;
      this.#next = undefined;
      return this.#scanNow();
    });
    this.#next = next;
    return next;
  }

  async #scanNow(): Promise<readonly Tagged[]> {
    const facts = readAllProcs();
    const newest = facts.reduce((latest, fact) => Math.max(latest, Number(fact.startTime)), 0);
    const tagged = new Map<string, string | undefined>();
    const processes = await Promise.all(
      facts.map(async (fact): Promise<Tagged> => {
        const key = `${fact.pid} ${fact.startTime}`;
        const known = this.#tagged.has(key);
        // What hangs in the kernel may hold the lock that its environment is read under.
        const tag = known || fact.state === 'D' ? this.#tagged.get(key) : await readEnvironmentValue(fact.pid, 'ASTRAGO_ALLOCATION_ID');
        const settled = tag !== undefined || newest - Number(fact.startTime) > youthTicks;
        if (known || (settled && fact.state !== 'D')) tagged.set(key, tag);
        return { fact, tag };
      }),
    );
    this.#tagged = tagged;
    return processes;
  }
}

interface Tagged {
  readonly fact: ProcFact;
  readonly tag: string | undefined;
}

/** A session keeps its number while it has members, also without its leader; a new holder of the pid ends that. */
function holdsItsNumber(session: Session): boolean {
  const holder = readProc(session.pid);
  return holder === undefined || holder.startTime === session.startTime;
}

function adoptChildren(processes: readonly Tagged[], owner: Map<number, string>): void {
  for (let grew = true; grew; ) {
    grew = false;
    for (const { fact } of processes) {
      const allocation = owner.get(fact.parent);
      if (allocation === undefined || owner.has(fact.pid)) continue;
      owner.set(fact.pid, allocation);
      grew = true;
    }
  }
}

export function isAlive(session: { readonly pid: number; readonly startTime: string }): boolean {
  const fact = readProc(session.pid);
  return fact !== undefined && !isDead(fact) && fact.startTime === session.startTime;
}
