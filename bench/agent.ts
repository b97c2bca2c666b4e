// What the agent costs on a node. Protocol: a simulated machine of 8 H100, each cut into seven 1g.10gb; the agent as it
// is shipped, alone, samples once a second; after a warm-up it is scraped at a fixed rate while its own memory and CPU
// time are read from /proc (nvidia-smi's are not its own). Then the same machine is scraped through an exporter that
// starts nvidia-smi for each scrape. Prints the work done beside the time.
//
//   node bench/agent.ts [--seconds 60] [--rate 50] [--warm-up 30] [--json]
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createMachine } from '@astrago/sim';
import { costOf } from './agent/process-cost.ts';
import { quantile, Scraper, scrapeAtRate } from './agent/scrape.ts';

const root = join(import.meta.dirname, '..');
const gpuCount = 8;
const slicesPerGpu = 7;
/** A process is started for each scrape there; more in a second than this, and they would only queue. */
const plainRate = 5;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    rate: { type: 'string', default: '50' },
    'warm-up': { type: 'string', default: '30' },
    json: { type: 'boolean', default: false },
  },
});
const seconds = Number(values.seconds);
const rate = Number(values.rate);

const directory = mkdtempSync(join(tmpdir(), 'astrago-bench-agent-'));
const machine = join(directory, 'machine');
const smi = join(machine, 'bin/nvidia-smi');
const started: ChildProcess[] = [];

function start(command: string, args: readonly string[], environment: Readonly<Record<string, string>>): ChildProcess {
  const child = spawn(command, args, {
    env: { PATH: process.env['PATH'], ASTRAGO_NODE: process.execPath, ASTRAGO_NVIDIA_SMI: smi, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  started.push(child);
  return child;
}

/** The port that a program tells in what it prints. */
async function portOf(child: ChildProcess, pattern: RegExp): Promise<number> {
  let text = '';
  return new Promise((resolve, reject) => {
    const look = (chunk: Buffer): void => {
      text += chunk.toString('utf8');
      const found = pattern.exec(text)?.[1];
      if (found !== undefined) resolve(Number(found));
    };
    child.stdout?.on('data', look);
    child.stderr?.on('data', look);
    child.once('exit', () => reject(new Error(`it has ended: ${text}`)));
  });
}

async function firstSample(port: number, sinceMs: number): Promise<number> {
  const scraper = new Scraper(port);
  for (;;) {
    const { text } = await scraper.scrape();
    if (text.includes('astrago_gpu_power_watts{')) {
      scraper.close();
      return performance.now() - sinceMs;
    }
    await pause(20);
  }
}

/** Series of each device, without those of allocations and of the agent itself. */
function seriesPerDevice(text: string): { readonly gpu: number; readonly slice: number; readonly all: number } {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const perGpu = new Map<string, number>();
  const perSlice = new Map<string, number>();
  for (const line of lines) {
    const uuid = /[{,]uuid="([^"]*)"/.exec(line)?.[1];
    if (uuid === undefined || line.startsWith('astrago_allocation')) continue;
    const instance = /[{,]gi="([^"]*)"/.exec(line)?.[1];
    const [map, key] = instance === undefined ? [perGpu, uuid] : [perSlice, `${uuid} ${instance}`];
    map.set(key, (map.get(key) ?? 0) + 1);
  }
  return { gpu: Math.max(0, ...perGpu.values()), slice: Math.max(0, ...perSlice.values()), all: lines.length };
}

async function measureAgent(): Promise<Readonly<Record<string, number>>> {
  const program = execFileSync(process.execPath, [join(root, 'scripts/build-agent.ts')], { encoding: 'utf8' }).trim();
  const sinceMs = performance.now();
  const agent = start(program, ['--standalone', '--metrics-port', '0'], {
    ASTRAGO_SAMPLE_PERIOD_MS: '1000',
    ASTRAGO_AGENT_DATA: join(directory, 'data'),
  });
  const port = await portOf(agent, /"metricsPort":(\d+)/);
  const firstMs = await firstSample(port, sinceMs);
  await pause(1000 * Number(values['warm-up']));
  const pid = agent.pid ?? 0;
  const before = costOf(pid);
  const resident: number[] = [];
  const watching = setInterval(() => resident.push(costOf(pid).residentMiB), 1000);
  const beganMs = performance.now();
  const times = await scrapeAtRate(port, rate, seconds);
  const tookSeconds = (performance.now() - beganMs) / 1000;
  clearInterval(watching);
  const after = costOf(pid);
  // And without being scraped: what it costs to be there.
  const quietBefore = costOf(pid);
  await pause(10_000);
  const quietAfter = costOf(pid);
  const scraper = new Scraper(port);
  const { text } = await scraper.scrape();
  scraper.close();
  const series = seriesPerDevice(text);
  return {
    firstSampleMs: firstMs,
    scrapes: times.length,
    scrapeP50Ms: quantile(times, 0.5),
    scrapeP99Ms: quantile(times, 0.99),
    scrapeMaxMs: times.at(-1) ?? Number.NaN,
    bytesPerScrape: Buffer.byteLength(text),
    seriesInAll: series.all,
    seriesPerGpuMax: series.gpu,
    seriesPerSliceMax: series.slice,
    residentMiBMax: Math.max(...resident),
    residentMiBEnd: after.residentMiB,
    cpuPercentWhileScraped: (100 * (after.cpuSeconds - before.cpuSeconds)) / tookSeconds,
    cpuPercentUnscraped: (100 * (quietAfter.cpuSeconds - quietBefore.cpuSeconds)) / 10,
    openFiles: after.openFiles,
  };
}

async function measurePlain(): Promise<Readonly<Record<string, number>>> {
  const exporter = start(process.execPath, [join(import.meta.dirname, 'agent/fork-exporter.ts')], {});
  const port = await portOf(exporter, /^(\d+)$/m);
  const times = await scrapeAtRate(port, plainRate, Math.min(20, seconds));
  return { scrapes: times.length, scrapeP50Ms: quantile(times, 0.5), scrapeP99Ms: quantile(times, 0.99), scrapeMaxMs: times.at(-1) ?? 0 };
}

function show(title: string, figures: Readonly<Record<string, number>>): void {
  if (values.json) console.log(JSON.stringify({ title, ...figures }));
  else {
    console.log(title);
    for (const [name, value] of Object.entries(figures))
      console.log(`  ${name.padEnd(24)} ${value.toFixed(Number.isInteger(value) ? 0 : 2)}`);
  }
}

try {
  createMachine({ directory: machine, model: 'h100-80gb', gpuCount, seed: 'bench', migEnabled: true });
  for (let gpu = 0; gpu < gpuCount; gpu += 1)
    execFileSync(smi, ['mig', '-i', String(gpu), '-cgi', Array.from({ length: slicesPerGpu }, () => '19').join(','), '-C']);
  show(`the agent, ${rate} scrapes a second for ${seconds} s, one sample a second`, await measureAgent());
  for (const child of started.splice(0)) {
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
  show(`an exporter that starts nvidia-smi for each scrape, ${plainRate} scrapes a second`, await measurePlain());
} finally {
  for (const child of started) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
}
