import type { Clock } from '@astrago/shared/runtime/clock';
import { end, isAlive, type OwnProcess } from './daemon-processes.ts';

const pollMs = 50;

/**
 * Waits for processes of ours to end by themselves, then asks them to, then makes them; each for `endMs`. Returns the
 * pids of those that are there all the same. What an aborted signal ends rejects with the signal's reason.
 */
export async function endProcesses(
  processes: readonly OwnProcess[],
  { clock, endMs }: { readonly clock: Clock; readonly endMs: number },
  signal: AbortSignal,
): Promise<readonly number[]> {
  const areGone = async (): Promise<boolean> => {
    const deadlineMs = clock.elapsedMs() + endMs;
    while (processes.some(isAlive)) {
      if (signal.aborted) throw signal.reason;
      if (clock.elapsedMs() > deadlineMs) return false;
      await clock.sleep(pollMs, signal);
    }
    return true;
  };
  if (await areGone()) return [];
  for (const how of ['SIGTERM', 'SIGKILL'] as const) {
    for (const one of processes) end(one, how);
    if (await areGone()) return [];
  }
  return processes.filter(isAlive).map(({ pid }) => pid);
}
