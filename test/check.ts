// Everything that can be said of the code without running it, side by side, with a table at the end.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const bin = join(root, 'node_modules/.bin');

interface Check {
  readonly name: string;
  readonly command: readonly string[];
  readonly directory?: string;
}

interface Result {
  readonly name: string;
  readonly ok: boolean;
  readonly seconds: number;
  readonly output: string;
}

/** What the contract must not break: the newest tag, or else the last commit that has one. */
function contractBase(): string | undefined {
  const git = (...words: string[]) => spawnSync('git', words, { cwd: root, encoding: 'utf8' });
  const tag = git('describe', '--tags', '--abbrev=0').stdout.trim();
  const base = tag === '' ? 'HEAD' : tag;
  return git('cat-file', '-e', `${base}:proto/buf.yaml`).status === 0 ? base : undefined;
}

const draft = mkdtempSync(join(tmpdir(), 'astrago-gen-'));
const base = contractBase();
const proto = join(root, 'proto');
const checks: readonly Check[] = [
  { name: 'biome', command: [join(bin, 'biome'), 'check', '.'] },
  { name: 'types', command: [join(bin, 'tsc'), '-p', 'tsconfig.json'] },
  { name: 'types of the pure rooms', command: [join(bin, 'tsc'), '-p', 'tsconfig.pure.json'] },
  { name: 'buf lint', command: [join(bin, 'buf'), 'lint'], directory: proto },
  ...(base === undefined
    ? []
    : [
        {
          name: `buf breaking against ${base}`,
          // Unpacked, as buf itself does not find the history of a linked worktree.
          command: [
            '/bin/sh',
            '-c',
            `git archive ${base} proto | tar -x -C "${draft}" && "${join(bin, 'buf')}" breaking proto --against "${draft}/proto"`,
          ],
        },
      ]),
  {
    name: 'generated code is current',
    command: ['/bin/sh', '-c', `"${join(bin, 'buf')}" generate -o "${draft}" && diff -r "${draft}/src/gen" src/gen`],
    directory: proto,
  },
  { name: 'knip', command: [join(bin, 'knip'), '--no-progress'] },
  {
    name: 'house rules',
    command: [process.execPath, join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--project', 'house'],
  },
];

function run(check: Check): Promise<Result> {
  const startMs = performance.now();
  const [program = '', ...rest] = check.command;
  return new Promise((resolve) => {
    const child = spawn(program, rest, {
      cwd: check.directory ?? root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, PATH: `${join(process.execPath, '..')}:${process.env['PATH'] ?? ''}` },
    });
    const chunks: Buffer[] = [];
    const end = (ok: boolean, more = ''): void =>
      resolve({
        name: check.name,
        ok,
        seconds: (performance.now() - startMs) / 1000,
        output: Buffer.concat(chunks).toString('utf8') + more,
      });
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.on('error', (failure) => end(false, failure.message));
    child.on('close', (code) => end(code === 0));
  });
}

/** Two at a time: what a small machine has. */
async function runAll(): Promise<readonly Result[]> {
  const results: Result[] = [];
  const queue = [...checks];
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) results.push(await run(next));
  };
  await Promise.all([worker(), worker()]);
  return results;
}

const startMs = performance.now();
const results = await runAll();
rmSync(draft, { recursive: true, force: true });
for (const result of results) if (!result.ok) console.log(`--- ${result.name}\n${result.output}`);
for (const result of results) console.log(`${result.ok ? 'ok    ' : 'FAILED'}  ${result.seconds.toFixed(1).padStart(5)} s  ${result.name}`);
console.log(`checked in ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
process.exitCode = results.every((result) => result.ok) ? 0 : 1;
