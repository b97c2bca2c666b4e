import { pino } from 'pino';
import { ControllerMetrics } from '../http/metrics.ts';
import { buildServer } from '../http/server.ts';
import type { LoopBench } from './loop-bench.ts';

/** The API over the loops of a bench, which it starts; the token is `right`. */
export async function serve(bench: LoopBench) {
  await bench.start();
  const { controller, agents, clock } = bench;
  return buildServer({
    controller,
    store: bench.opened.store,
    agents,
    metrics: new ControllerMetrics('1.2.3'),
    version: '1.2.3',
    startedAtMs: 0,
    nowMs: clock.nowMs,
    actorOf: (token) => (token === 'right' ? 'admin' : undefined),
    log: pino({ level: 'silent' }),
  });
}
