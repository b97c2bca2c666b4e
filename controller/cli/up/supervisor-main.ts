// The background process of `up --detach`.
import { systemClock } from '@astrago/shared/runtime/clock';
import { exitCodes } from '../exit-codes.ts';
import { CommandFailure } from '../failure.ts';
import type { SupervisorOrder, SupervisorWord } from './detach.ts';
import { supervise } from './supervise.ts';

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => stop.abort());
// The terminal that started it may close.
process.on('SIGHUP', () => undefined);

const order = await new Promise<SupervisorOrder>((resolve, reject) => {
  process.once('message', (message) => resolve(message as SupervisorOrder));
  process.once('disconnect', () => reject(new Error('who started this supervisor went away before saying what to do')));
});

try {
  const outcome = await supervise(
    { ...order, clock: systemClock, environment: process.env },
    { signal: stop.signal, tell, onReady: () => say({ kind: 'ready' }) },
  );
  if (outcome === 'taken') say({ kind: 'taken' });
} catch (failure) {
  process.exitCode = exitCodes.failed;
  const what = failure instanceof Error ? failure.message : String(failure);
  console.error(`${new Date().toISOString()} ${failure instanceof Error ? failure.stack : what}`);
  if (failure instanceof CommandFailure)
    say({ kind: 'failed', code: failure.code, exitCode: failure.exitCode, what, remedy: failure.remedy });
  else
    say({ kind: 'failed', code: 'cannot-start', exitCode: exitCodes.failed, what: `${what}.`, remedy: 'See supervisor.log in the logs.' });
} finally {
  if (process.connected) process.disconnect();
}

function tell(text: string): void {
  console.log(`${new Date().toISOString()} ${text}`);
  say({ kind: 'progress', text });
}

/** To whoever waits for the start; later there is nobody. */
function say(word: SupervisorWord): void {
  if (process.connected) process.send?.(word, undefined, undefined, () => undefined);
}
