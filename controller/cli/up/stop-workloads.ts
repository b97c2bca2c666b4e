// Before a local cluster goes down its workloads are ended in the proper way, so that the record says why they ended.
import type { Workload } from '@astrago/api';
import type { Client } from '@astrago/api/client';
import type { Clock } from '@astrago/shared/runtime/clock';
import { allPages } from '../all-pages.ts';
import { inParallel } from '../in-parallel.ts';

export interface Stopped {
  readonly stopped: number;
  /** Not ended within the limit. */
  readonly left: readonly string[];
}

export async function stopWorkloads(
  client: Client,
  deps: { readonly clock: Clock; readonly limitMs: number; readonly signal?: AbortSignal },
): Promise<Stopped> {
  const { clock, signal } = deps;
  const untilMs = clock.elapsedMs() + deps.limitMs;
  const asked = new Set<string>();
  for (;;) {
    const live = await liveWorkloads(client, signal);
    if (live.length === 0 || clock.elapsedMs() >= untilMs || signal?.aborted === true) {
      return {
        stopped: asked.size - live.filter((workload) => asked.has(workload.id)).length,
        left: live.map((workload) => workload.name),
      };
    }
    // Those that wait go first, or they would start in the room that the others leave.
    const fresh = live
      .filter((workload) => !asked.has(workload.id))
      .sort((a, b) => Number(b.phase === 'queued') - Number(a.phase === 'queued'));
    await inParallel(fresh, 16, async (workload) => {
      asked.add(workload.id);
      // It may have ended meanwhile; the next look tells.
      await client.stopWorkload({ params: { workload: workload.id } }, { signal }).catch(() => undefined);
    });
    await clock.sleep(200, signal);
  }
}

async function liveWorkloads(client: Client, signal: AbortSignal | undefined): Promise<readonly Workload[]> {
  const { items } = await allPages((cursor) => client.listWorkloads({ query: { limit: 1000, phase: 'live', cursor } }, { signal }));
  return items;
}
