import type { Clock } from '@astrago/shared/runtime/clock';
import { isAlive, type ProcessIdentity, signalProcess } from '../locate/process-identity.ts';

/** Asks them to end, waits, and kills what is left. Returns how many had to be killed. */
export async function endProcesses(
  processes: readonly ProcessIdentity[],
  deps: { readonly clock: Clock; readonly graceMs: number },
): Promise<number> {
  const asked = processes.filter((one) => signalProcess(one, 'SIGTERM'));
  if (await gone(asked, deps.clock, deps.graceMs)) return 0;
  const killed = asked.filter((one) => signalProcess(one, 'SIGKILL'));
  await gone(killed, deps.clock, 5000);
  return killed.length;
}

async function gone(processes: readonly ProcessIdentity[], clock: Clock, limitMs: number): Promise<boolean> {
  const untilMs = clock.elapsedMs() + limitMs;
  while (processes.some(isAlive)) {
    if (clock.elapsedMs() >= untilMs) return false;
    await clock.sleep(25);
  }
  return true;
}
