import type { Client } from '@astrago/api/client';
import type { Clock } from '@astrago/shared/runtime/clock';
import type { NodePlan } from './cluster-plan.ts';

/** Waits until every node of the plan is ready; returns the names of those that are not when the time is over. */
export async function nodesReady(
  client: Client,
  plan: readonly NodePlan[],
  deps: { readonly clock: Clock; readonly limitMs: number; readonly signal: AbortSignal },
): Promise<string[]> {
  const { clock, signal } = deps;
  const untilMs = clock.elapsedMs() + deps.limitMs;
  let unready = plan.map((node) => node.name);
  while (!signal.aborted) {
    // A controller that is just being started again answers soon.
    const list = await client.listNodes({}, { signal }).catch(() => undefined);
    if (list !== undefined) {
      const ready = new Map(list.items.filter((node) => node.state === 'ready').map((node) => [node.name, node.gpuCount]));
      unready = plan.filter((node) => (ready.get(node.name) ?? 0) < (node.kind === 'simulated' ? node.gpus : 1)).map((node) => node.name);
    }
    if (unready.length === 0 || clock.elapsedMs() >= untilMs) return unready;
    await clock.sleep(200, signal);
  }
  return unready;
}
