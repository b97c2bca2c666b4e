import { Worker } from 'node:worker_threads';
import type { MilpOutcome } from '#core/repartition/milp-outcome';

/** What the thread is given. */
export interface MilpTask {
  readonly text: string;
  /** The solver's own limit; ours comes a little later, for when it does not keep it. */
  readonly seconds: number;
}

/** What the thread says. */
export interface MilpTold {
  readonly status: string;
  readonly objective: number;
  readonly values: Readonly<Record<string, number>>;
}

/** How much longer than its own limit the solver may take, with its start. */
const graceMs = 1000;
/** Of the thread's JavaScript, beside the solver's own memory. One that grows beyond it ends the thread; a single huge piece would end the process. */
const heapMiB = 256;
const solver = new URL('./milp-worker.ts', import.meta.url);

/**
 * One program in a thread of its own. Whatever the thread does, there is an answer within the limit and a second,
 * and no thread is left.
 *
 * @param text in the LP format.
 * @param worker another thread than the solver, for tests.
 */
export function solveMilp(text: string, limitMs: number, signal?: AbortSignal, worker: URL = solver): Promise<MilpOutcome> {
  return new Promise((resolve) => {
    const task: MilpTask = { text, seconds: limitMs / 1000 };
    const thread = new Worker(worker, { workerData: task, resourceLimits: { maxOldGenerationSizeMb: heapMiB } });
    let ended = false;
    const end = (outcome: MilpOutcome): void => {
      if (ended) return;
      ended = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', giveUp);
      void thread.terminate().then(() => resolve(outcome));
    };
    const giveUp = (): void => end({ kind: 'timed-out', afterMs: 0 });
    const timer = setTimeout(() => end({ kind: 'timed-out', afterMs: limitMs + graceMs }), limitMs + graceMs);
    signal?.addEventListener('abort', giveUp, { once: true });
    if (signal?.aborted === true) giveUp();
    thread.on('message', (told: unknown) => end(outcomeOf(told)));
    thread.on('messageerror', (failure) => end({ kind: 'crashed', detail: failure.message }));
    thread.on('error', (failure) => end({ kind: 'crashed', detail: failure instanceof Error ? failure.message : String(failure) }));
    thread.on('exit', (code) => end({ kind: 'crashed', detail: `the thread ended with ${code} and said nothing` }));
  });
}

function outcomeOf(told: unknown): MilpOutcome {
  if (typeof told !== 'object' || told === null || !('status' in told) || !('objective' in told) || !('values' in told))
    return { kind: 'crashed', detail: 'the thread said what it never says' };
  const { status, objective, values } = told as MilpTold;
  return status === 'Optimal' ? { kind: 'solved', objective, values } : { kind: 'no-solution', status };
}
