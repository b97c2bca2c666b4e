import { Agent, get } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

/** One connection a scraper, kept, as Prometheus does. */
export class Scraper {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #port: number;

  constructor(port: number) {
    this.#port = port;
  }

  /** The exposition, and how long it took until its last byte, ms. */
  scrape(): Promise<{ readonly text: string; readonly ms: number }> {
    const startMs = performance.now();
    return new Promise((resolve, reject) => {
      get({ host: '127.0.0.1', port: this.#port, path: '/metrics', agent: this.#agent }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => resolve({ text: Buffer.concat(chunks).toString('utf8'), ms: performance.now() - startMs }));
      }).on('error', reject);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Scrapes at a fixed rate for so long; a scrape that is late does not make the next ones late. Times in ms, sorted. */
export async function scrapeAtRate(port: number, perSecond: number, seconds: number): Promise<readonly number[]> {
  const scrapers = Array.from({ length: 8 }, () => new Scraper(port));
  const startMs = performance.now();
  const running: Promise<number>[] = [];
  for (let turn = 0; turn < perSecond * seconds; turn += 1) {
    await pause(Math.max(0, startMs + (turn * 1000) / perSecond - performance.now()));
    const scraper = scrapers[turn % scrapers.length];
    if (scraper !== undefined) running.push(scraper.scrape().then(({ ms }) => ms));
  }
  const times = await Promise.all(running);
  for (const scraper of scrapers) scraper.close();
  return times.sort((a, b) => a - b);
}

export function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
}
