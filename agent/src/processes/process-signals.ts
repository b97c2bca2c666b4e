import type { ProcessSignals } from '../app/enforcer.ts';
import { isDead, type ProcFact, readProc } from './proc.ts';

/** Of kernel threads: `kthreadd`, and itself the child of no process. */
const kernelThreadParent = 2;

/**
 * Signals to processes of this machine, by pid and start time. Between the look at the start time and the signal lies
 * no wait; a number cannot come round again in that time, since numbers are given out in turn.
 *
 * @param isSupervisor of a workload: it leaves the exit code, and ending it would lose the workload.
 */
export function processSignals(isSupervisor: (pid: number, startTime: string) => boolean): ProcessSignals {
  return {
    obstacle(pid, startTime) {
      const fact = readProc(pid);
      if (pid <= 1 || pid === kernelThreadParent || fact?.parent === kernelThreadParent) return 'protected';
      if (isSupervisor(pid, startTime) || ownChain().has(pid)) return 'protected';
      return deliver(pid, 0) === 'not-permitted' ? 'not-permitted' : undefined;
    },
    send(pid, startTime, signal) {
      return isThere(readProc(pid), startTime) ? deliver(pid, signal) : 'gone';
    },
  };
}

function isThere(fact: ProcFact | undefined, startTime: string): boolean {
  return fact !== undefined && !isDead(fact) && fact.startTime === startTime;
}

/** The agent and what it runs under: a service manager's child, a container's shim, a terminal. */
function ownChain(): ReadonlySet<number> {
  const chain = new Set<number>();
  for (let pid = process.pid; pid > 1 && !chain.has(pid); pid = readProc(pid)?.parent ?? 0) chain.add(pid);
  return chain;
}

function deliver(pid: number, signal: NodeJS.Signals | 0): 'sent' | 'gone' | 'not-permitted' {
  try {
    process.kill(pid, signal);
    return 'sent';
  } catch (cause) {
    return cause instanceof Error && 'code' in cause && cause.code === 'EPERM' ? 'not-permitted' : 'gone';
  }
}
