// Follows submitted workloads until all have ended, or nothing has moved for a while and the rest only waits.
import type { Why, Workload } from '@astrago/api';
import type { Client } from '@astrago/api/client';
import type { Clock } from '@astrago/shared/runtime/clock';
import { allPages } from '../all-pages.ts';
import { inParallel } from '../in-parallel.ts';

export interface FollowDeps {
  readonly clock: Clock;
  readonly workspace: string;
  readonly settleMs: number;
  readonly untilMs: number;
  readonly signal: AbortSignal;
  progress(live: number): void;
}

export interface Followed {
  readonly workloads: readonly Workload[];
  readonly whys: ReadonlyMap<string, Why>;
}

export async function followTrace(client: Client, ids: ReadonlySet<string>, deps: FollowDeps): Promise<Followed> {
  const { clock, signal } = deps;
  let seen = '';
  let changedMs = clock.elapsedMs();
  while (!signal.aborted) {
    // Only what is live is listed: the answer shrinks as work ends.
    const live = await listed(client, deps.workspace, 'live', ids);
    deps.progress(live.length);
    if (live.length === 0) break;
    const now = live.map((workload) => `${workload.id} ${workload.phase}`).join('\n');
    if (now !== seen) changedMs = clock.elapsedMs();
    seen = now;
    const onlyWaiting = live.every((workload) => workload.phase === 'queued');
    if (onlyWaiting && clock.elapsedMs() - changedMs >= deps.settleMs) break;
    if (clock.elapsedMs() >= deps.untilMs) break;
    // A long list is costly for both sides, and changes little in a second.
    await clock.sleep(Math.min(3000, 300 + live.length), signal);
  }
  // The live ones are listed first: what ends in between is then in both lists, and the later record counts.
  const records = new Map<string, Workload>();
  for (const phase of ['live', 'ended'] as const)
    for (const workload of await listed(client, deps.workspace, phase, ids)) records.set(workload.id, workload);
  const whys = new Map<string, Why>();
  const waiting = [...records.values()].filter((workload) => workload.phase === 'queued');
  await inParallel(
    waiting,
    8,
    async (workload) => void whys.set(workload.id, await client.whyWorkload({ params: { workload: workload.id } })),
  );
  return { workloads: [...records.values()], whys };
}

async function listed(client: Client, workspace: string, phase: 'live' | 'ended', ids: ReadonlySet<string>): Promise<Workload[]> {
  const { items } = await allPages((cursor) => client.listWorkloads({ query: { limit: 1000, cursor, phase, workspace } }));
  return items.filter((workload) => ids.has(workload.id));
}
