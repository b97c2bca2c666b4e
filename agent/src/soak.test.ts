// A day in minutes: everything the agent does all day long (reading nvidia-smi, health, enforcement, scrapes), on a clock
// that runs as fast as the work is done. Memory and handles at the end must be those of the first hour.
//
//   ASTRAGO_SOAK_HOURS=24 ./astrago test agent/src/soak      (`--soak` sets it)
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock } from '@astrago/shared/runtime/clock';
import { createMachine } from '@astrago/sim';
import { afterEach, expect, it } from 'vitest';
import { pciAddress } from '#core/health/pci-address';
import { emptyOrder } from '#core/order';
import { HealthWatch } from './app/health-watch.ts';
import { NodeState } from './app/node-state.ts';
import { sample } from './app/sampler.ts';
import { AgentMetrics } from './metrics/registry.ts';
import { createSmiDriver } from './smi/driver.ts';
import { Scratch } from './testing/scratch.ts';

const hours = Number(process.env['ASTRAGO_SOAK_HOURS'] ?? '0.5');
const samplesMax = Math.round(hours * 3600);
const logsMax = Math.round(samplesMax / 10);

/** Its time passes only when it is told to. */
class DrivenClock implements Clock {
  #ms = 0;
  readonly #sleepers = new Set<{ readonly untilMs: number; readonly wake: () => void }>();

  nowMs(): number {
    return 1_800_000_000_000 + this.#ms;
  }

  elapsedMs(): number {
    return this.#ms;
  }

  get sleepers(): number {
    return this.#sleepers.size;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const sleeper = {
        untilMs: this.#ms + ms,
        wake: () => {
          this.#sleepers.delete(sleeper);
          signal?.removeEventListener('abort', sleeper.wake);
          resolve();
        },
      };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', sleeper.wake, { once: true });
    });
  }

  pass(ms: number): void {
    this.#ms += ms;
    for (const sleeper of [...this.#sleepers]) if (sleeper.untilMs <= this.#ms) sleeper.wake();
  }
}

const logEvery = 10;

/**
 * Loops as nvidia-smi does, with what the simulated one has said once, as fast as it is read. Rows and logs wait for each
 * other, as one that is late would be taken for silent: the directory `read` holds how many of each have been read.
 */
const tireless = (smi: string, read: string): string => `#!${process.execPath}
const { execFileSync } = require('node:child_process');
const { readFileSync } = require('node:fs');
const args = process.argv.slice(2);
const at = args.findIndex((word) => /^-l(ms)?$/.test(word));
const once = at === -1 ? args : args.toSpliced(at, 2);
const text = execFileSync(${JSON.stringify(smi)}, once, { encoding: 'utf8' });
process.stdout.write(text);
if (at !== -1) {
  const isLog = text.startsWith('<');
  // A header comes once.
  const next = isLog ? text : text.slice(text.indexOf('\\n') + 1);
  const end = isLog ? ${logsMax} : ${samplesMax};
  const read = (what) => Number(readFileSync(${JSON.stringify(read)} + '/' + what, 'latin1'));
  const tooSoon = (said) => isLog ? said > read('samples') / ${logEvery} : said % ${logEvery} === 0 && said / ${logEvery} > read('logs');
  let said = 1;
  const go = () => {
    while (said < end) {
      if (tooSoon(said)) return setTimeout(go, 1);
      said += 1;
      if (!process.stdout.write(next)) return process.stdout.once('drain', go);
    }
    setInterval(() => undefined, 1 << 30);
  };
  process.stdout.on('error', () => process.exit(141));
  go();
}
`;

function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}

function openFiles(): number {
  return readdirSync('/proc/self/fd').length;
}

const scratch = new Scratch();
afterEach(() => scratch[Symbol.asyncDispose]());

it(`${hours} hours of an agent leave memory and handles as they were`, { timeout: 1_800_000 }, async () => {
  const machine = createMachine({ directory: scratch.path('machine'), model: 'h100-80gb', gpuCount: 8, seed: scratch.directory });
  const program = scratch.path('nvidia-smi');
  mkdirSync(scratch.path('read'));
  const tellRead = (what: 'samples' | 'logs', count: number): void => writeFileSync(scratch.path('read', what), String(count));
  tellRead('samples', 0);
  tellRead('logs', 0);
  writeFileSync(program, tireless(machine.nvidiaSmi, scratch.path('read')));
  chmodSync(program, 0o755);
  const clock = new DrivenClock();
  const state = new NodeState(() => clock.nowMs());
  const driver = createSmiDriver({ program, environment: { PATH: process.env['PATH'] }, clock });
  const health = new HealthWatch({
    state,
    // An Xid that a program caused, again and again.
    kernelLog: {
      take: () =>
        Promise.resolve({
          status: { kind: 'readable', lostRecords: 0 } as const,
          notes: state.known.slice(0, 1).flatMap((gpu) => {
            const pci = pciAddress(state.gpu(gpu)?.pciBusId ?? '') ?? '';
            const xid = { code: 13, pid: undefined, process: undefined, text: 'warp', gpuInstanceId: undefined };
            return [{ kind: 'xid' as const, pci, xid, ageMs: 0 }];
          }),
          more: false,
        }),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    resets: { ageMs: () => undefined, note: () => Promise.resolve() },
    clock,
    order: () => emptyOrder,
    samplePeriodMs: 1000,
    driftAfterMs: 60_000,
    log: () => undefined,
  });
  const metrics = new AgentMetrics({
    node: 'n',
    version: '1',
    state,
    clock,
    periodsMs: { inventory: 10_000, sample: 1000, detail: 10_000, host: 15_000 },
    order: () => emptyOrder,
    telemetry: () => state.telemetryStatus(),
  });
  const { gpus, driverVersion } = await driver.observe(new AbortController().signal);
  state.setAll(driverVersion, gpus, 0);

  const ending = new AbortController();
  const done = Promise.withResolvers<void>();
  let samples = 0;
  let logs = 0;
  let scrapedBytes = 0;
  const marks: { readonly heap: number; readonly files: number; readonly sleepers: number }[] = [];
  const mark = (): void => {
    marks.push({ heap: heapBytes(), files: openFiles(), sleepers: clock.sleepers });
  };
  const source = driver.telemetry({ periodMs: 1000, detailPeriodMs: 10_000, random: () => 0.5 });
  const running = sample(
    {
      telemetry: {
        get status() {
          return source.status;
        },
        run: (signal, sink) =>
          source.run(signal, {
            gpus: (taken, atMs) => {
              sink.gpus(taken, atMs);
              samples += 1;
              clock.pass(1000);
              if (samples % logEvery === 0) tellRead('samples', samples);
              if (samples % 10 === 0) state.setAll(driverVersion, gpus, state.moment);
              if (samples % 15 === 0) scrapedBytes += metrics.bytes().length;
              // After a quarter everything that grows at first has grown.
              if (samples === Math.round(samplesMax / 4) || samples === samplesMax) mark();
              if (samples >= samplesMax && logs >= logsMax) done.resolve();
            },
            devices: (details) => {
              sink.devices(details);
              logs += 1;
              tellRead('logs', logs);
              if (samples >= samplesMax && logs >= logsMax) done.resolve();
            },
          }),
      },
      state,
      attribution: { attribute: (processes) => Promise.resolve(processes.map((one) => ({ ...one, allocation: undefined }))) },
      clock,
      detailPeriodMs: 10_000,
      log: () => undefined,
    },
    ending.signal,
  );
  const watching = health.run(ending.signal);
  // Time that nothing drives: a reader that has ended waits for it before it is started again.
  let seen = -1;
  const nudging = setInterval(() => {
    if (samples + logs === seen) clock.pass(1000);
    seen = samples + logs;
  }, 1000);
  await done.promise;
  clearInterval(nudging);
  const status = source.status;
  ending.abort();
  await Promise.all([running, watching]);

  const [early, late] = marks;
  if (early === undefined || late === undefined) throw new Error('nothing was measured');
  console.log(
    `${samples} samples, ${logs} logs, ${Math.round(scrapedBytes / 1e6)} MB scraped; heap ${(early.heap / 1e6).toFixed(1)} MB after a quarter, ${(late.heap / 1e6).toFixed(1)} MB at the end; ${late.files} open files`,
  );
  expect([status.gpus, status.details].map(({ restarts, abandoned, lastError }) => ({ restarts, abandoned, lastError }))).toEqual([
    { restarts: 0, abandoned: 0, lastError: undefined },
    { restarts: 0, abandoned: 0, lastError: undefined },
  ]);
  // Rows come ten at a time here, and health is looked at between.
  expect(state.xids.current?.[0]?.count).toBeGreaterThan(logsMax / 2);
  expect(late.heap - early.heap).toBeLessThan(4e6);
  expect(late.files).toBe(early.files);
  expect(late.sleepers).toBeLessThanOrEqual(early.sleepers + 2);
});
