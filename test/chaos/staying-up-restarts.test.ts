// An agent that is started and ended again and again on one data directory leaves nothing behind: no open file, no socket,
// no process, no file on disk, no memory. ASTRAGO_RESTARTS says how often.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { startAgent } from '../../agent/src/agent.ts';
import { readAgentConfig } from '../../agent/src/config.ts';
import { readAllProcs } from '../../agent/src/processes/proc.ts';
import { LoneAgent } from '../../agent/src/testing/lone-agent.ts';
import { until } from '../../agent/src/testing/until.ts';

const restarts = Number(process.env['ASTRAGO_RESTARTS'] ?? 30);
/** Code is compiled, pools are filled, and one file of each kind is there. */
const warmUp = Math.min(10, restarts / 3);
/** Less than a connection or a metric family left behind each time would come to. */
const heapBytesARestart = 4096;
/** What a collector may leave for later, whatever the number of restarts. */
const heapSlackBytes = 6 * 2 ** 20;

/** What this process holds, and what lies in the data directory. */
interface Held {
  readonly files: number;
  readonly sockets: number;
  readonly children: number;
  readonly onDisk: readonly string[];
}

function held(dataDirectory: string): Held {
  const targets = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      // The one by which they are listed.
      return [];
    }
  });
  const isSocket = (target: string): boolean => target.startsWith('socket:');
  return {
    files: targets.filter((target) => !isSocket(target)).length,
    sockets: targets.filter(isSocket).length,
    children: readAllProcs().filter(({ parent }) => parent === process.pid).length,
    onDisk: readdirSync(dataDirectory, { recursive: true, encoding: 'utf8' }).toSorted(),
  };
}

async function heapBytes(): Promise<number> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options?: object) => void;
  // What waits for a finalizer is gone only the next time.
  for (let round = 0; round < 3; round += 1) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage().heapUsed;
}

it(
  `${restarts} restarts leave nothing behind`,
  async () => {
    await using node = await LoneAgent.make({}, { ASTRAGO_LOG_LEVEL: 'silent', ASTRAGO_SAMPLE_PERIOD_MS: '1000' });
    const config = readAgentConfig(node.environment());
    const data = node.scratch.path('data');
    const life = async (round: number): Promise<void> => {
      await using agent = await startAgent(config);
      // Most are ended while everything is under way; some are up with all that belongs to it.
      if (round % 3 > 0) return;
      await until(
        async () => (await (await fetch(`http://127.0.0.1:${agent.metricsPort}/metrics`)).text()).includes('astrago_gpu_info{'),
        'the GPU is seen',
      );
    };
    for (let round = 0; round < warmUp; round += 1) await life(round);
    const before = held(data);
    const heapBefore = await heapBytes();

    const startMs = performance.now();
    for (let round = warmUp; round < restarts; round += 1) await life(round);
    const tookMs = performance.now() - startMs;

    const count = restarts - warmUp;
    await until(() => JSON.stringify(held(data)) === JSON.stringify(before), 'all that was held before, and nothing more', 10_000).catch(
      () => undefined,
    );
    const heapGrown = (await heapBytes()) - heapBefore;
    console.log(
      `${count} restarts, ${(tookMs / count).toFixed(0)} ms each; heap ${(heapBefore / 2 ** 20).toFixed(1)} MiB before, ${(heapGrown / count / 1024).toFixed(1)} KiB more for each`,
    );
    expect(held(data)).toEqual(before);
    expect(heapGrown).toBeLessThan(heapSlackBytes + count * heapBytesARestart);
    // No line of the ledger for a life in which nothing was done.
    expect(readFileSync(node.scratch.path('data', 'ledger', 'steps.jsonl'), 'utf8')).toBe('');
  },
  30_000 + restarts * 5000,
);
