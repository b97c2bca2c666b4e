// A recorded trace through the whole system. Protocol: `./astrago up` with NODES simulated nodes of eight H100 (every
// agent and every nvidia-smi a real process), then `./astrago replay` of the first ROWS pods in one burst; the report is
// the program's own. Prints the machine, the commands of nvidia-smi that were run, and the report.
//
//   node bench/replay.ts FILE [ROWS] [NODES]
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';

const [file, rows = '2000', nodes = '16'] = process.argv.slice(2);
if (file === undefined) throw new Error('usage: node bench/replay.ts FILE [ROWS] [NODES]');
const root = join(import.meta.dirname, '..');
const data = mkdtempSync(join(tmpdir(), 'astrago-bench-'));
// Looking around costs as much as working on a machine that plays sixteen; the loops that look are slowed, not stopped.
const environment = { ...process.env, ASTRAGO_DATA: data, ASTRAGO_INVENTORY_PERIOD_MS: '60000', ASTRAGO_SAMPLE_PERIOD_MS: '60000' };

function astrago(...words: readonly string[]): string {
  const ran = spawnSync(join(root, 'astrago'), words, {
    encoding: 'utf8',
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 28,
  });
  if (ran.status !== 0) throw new Error(`astrago ${words.join(' ')} ended with ${ran.status}\n${ran.stdout}`);
  return ran.stdout;
}

/** How often agents took each kind of step, from their ledgers. */
function stepsTaken(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const node of readdirSync(join(data, 'nodes'))) {
    for (const line of readFileSync(join(data, 'nodes', node, 'agent/ledger/steps.jsonl'), 'utf8').split('\n')) {
      const kind = /"step":"(\w+)[^"]*","intent"/.exec(line)?.[1];
      if (kind !== undefined) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    }
  }
  return counts;
}

try {
  console.log(
    `${new Date().toISOString().slice(0, 10)}  ${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`,
  );
  astrago('up', '--detach', '--nodes', nodes, '--gpus', '8', '--model', 'h100-80gb', '--port', '0');
  console.log(astrago('replay', file, '--limit', rows, '--burst', '--timeout', '1500'));
  console.log(`steps on GPUs      ${[...stepsTaken()].map(([kind, count]) => `${count} ${kind}`).join(', ')}`);
} finally {
  astrago('down');
  rmSync(data, { recursive: true, force: true, maxRetries: 5 });
}
