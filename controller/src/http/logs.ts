import { setTimeout as pause } from 'node:timers/promises';
import { hasEnded, type WorkloadRecord } from '#core/cluster/records';
import type { Agents, Store } from '../app/ports.ts';

const lookAgainMs = 200;
/** A connection that broke is usually there again in a moment. */
const failuresMax = 5;

/**
 * A workload's output through its agent. With `follow`, waits until a queued one is placed and goes on to its end,
 * also when the connection to the agent, or the agent, comes and goes: what was sent is not sent again.
 */
export async function* workloadOutput(
  deps: { readonly store: Pick<Store, 'findWorkload'>; readonly agents: Pick<Agents, 'logs'> },
  first: WorkloadRecord,
  follow: boolean,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  let sent = 0;
  let from: string | undefined;
  let failures = 0;
  while (!signal.aborted) {
    const record = deps.store.findWorkload(first.id, undefined) ?? first;
    const over = hasEnded(record.phase);
    if (record.allocation !== from) {
      from = record.allocation;
      sent = 0;
    }
    if (record.allocation !== undefined && record.node !== undefined) {
      try {
        let skip = sent;
        for await (const chunk of deps.agents.logs(record.node, record.allocation, follow && !over, signal)) {
          const fresh = skip >= chunk.length ? undefined : skip === 0 ? chunk : chunk.subarray(skip);
          skip = Math.max(0, skip - chunk.length);
          if (fresh === undefined) continue;
          sent += fresh.length;
          yield fresh;
        }
        failures = 0;
      } catch (failure) {
        failures += 1;
        if ((!follow || over) && failures > failuresMax) throw failure;
      }
    }
    if ((!follow || over) && failures === 0) return;
    await pause(lookAgainMs, undefined, { signal }).catch(() => undefined);
  }
}
