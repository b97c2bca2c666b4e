import type { SubmitWorkloadInput } from '@astrago/api';
import { ApiFailure, type Client } from '@astrago/api/client';
import type { Clock } from '@astrago/shared/runtime/clock';
import { inParallel } from '../in-parallel.ts';
import type { Submission } from './report.ts';

export interface Arrival {
  /** After the first, already compressed. */
  readonly afterMs: number;
  readonly body: SubmitWorkloadInput;
}

/** Submits each at its time, or as soon after as one of the workers is free. A refusal is a result, not a failure. */
export async function submitTrace(
  client: Client,
  arrivals: readonly Arrival[],
  deps: { readonly clock: Clock; readonly concurrency: number; readonly signal: AbortSignal },
): Promise<Submission[]> {
  const { clock, concurrency, signal } = deps;
  const submissions: Submission[] = [];
  const startMs = clock.elapsedMs();
  await inParallel(arrivals, concurrency, async ({ afterMs, body }) => {
    const earlyMs = afterMs - (clock.elapsedMs() - startMs);
    if (earlyMs > 0) await clock.sleep(earlyMs, signal);
    if (signal.aborted) return;
    try {
      const { id } = await client.submitWorkload({ body }, { signal });
      submissions.push({ name: body.name, id });
    } catch (failure) {
      if (signal.aborted) return;
      if (!(failure instanceof ApiFailure)) throw failure;
      submissions.push({ name: body.name, refusal: { code: failure.problem.code, detail: failure.problem.detail } });
    }
  });
  return submissions;
}
