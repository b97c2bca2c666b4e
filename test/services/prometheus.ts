// A real Prometheus on a loopback port of the system's choice, with a directory of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../world/until.ts';
import { prometheusPrograms } from './prometheus-programs.ts';

export interface ScrapeJob {
  readonly job: string;
  /** host:port. */
  readonly targets: readonly string[];
}

export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface QueryAnswer {
  readonly data: {
    readonly result: readonly { readonly metric: Readonly<Record<string, string>>; readonly value: readonly [number, string] }[];
  };
}

export class Prometheus implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #directory: string;
  readonly #url: string;

  private constructor(process: ChildProcess, directory: string, url: string) {
    this.#process = process;
    this.#directory = directory;
    this.#url = url;
  }

  /** Scrapes every second. Returns when it is ready to answer. */
  static async start(jobs: readonly ScrapeJob[]): Promise<Prometheus> {
    const { prometheus } = await prometheusPrograms();
    const directory = mkdtempSync(join(tmpdir(), 'astrago-prometheus-'));
    // JSON is YAML.
    const configuration = {
      global: { scrape_interval: '1s', scrape_timeout: '1s' },
      scrape_configs: jobs.map(({ job, targets }) => ({ job_name: job, honor_labels: true, static_configs: [{ targets }] })),
    };
    writeFileSync(join(directory, 'prometheus.yml'), JSON.stringify(configuration));
    const address = `127.0.0.1:${await freePort()}`;
    const log = openSync(join(directory, 'log'), 'a');
    const child = spawn(
      prometheus,
      [
        `--config.file=${join(directory, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(directory, 'data')}`,
        `--web.listen-address=${address}`,
      ],
      { cwd: directory, stdio: ['ignore', log, log] },
    );
    closeSync(log);
    const started = new Prometheus(child, directory, `http://${address}`);
    const said = (): string => readFileSync(join(directory, 'log'), 'utf8');
    try {
      await until(async () => child.exitCode !== null || (await fetch(`http://${address}/-/ready`)).ok, 'Prometheus is ready');
      if (child.exitCode === null) return started;
    } catch (failure) {
      await started[Symbol.asyncDispose]();
      throw failure;
    }
    const last = said();
    await started[Symbol.asyncDispose]();
    // Somebody took the port between choosing and listening.
    if (last.includes('address already in use')) return Prometheus.start(jobs);
    throw new Error(`Prometheus has ended:\n${last.slice(-2000)}`);
  }

  /** The value now of every series that the expression gives. */
  async query(expression: string): Promise<readonly Series[]> {
    const answer = await fetch(`${this.#url}/api/v1/query`, { method: 'POST', body: new URLSearchParams({ query: expression }) });
    if (!answer.ok) throw new Error(`${expression}: ${await answer.text()}`);
    const { data } = (await answer.json()) as QueryAnswer;
    return data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  /** For an expression of which one value is expected; `undefined` while there is none. */
  async value(expression: string): Promise<number | undefined> {
    const [first, ...more] = await this.query(expression);
    if (more.length > 0) throw new Error(`${expression} gives ${more.length + 1} series`);
    return first?.value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const gone = once(this.#process, 'exit');
      this.#process.kill('SIGKILL');
      await gone;
    }
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Prometheus cannot be told to choose one and say which. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  server.close();
  await once(server, 'close');
  return typeof bound === 'object' && bound !== null ? bound.port : 0;
}
