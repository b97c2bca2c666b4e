// Runs every test and closes with the plain line `N passed, N failed`.
//
//   ./astrago test [--fuzz] [FILTER...]
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const given = process.argv.slice(2);
const fuzz = given.includes('--fuzz');
const filters = given.filter((argument) => argument !== '--fuzz');
const directory = mkdtempSync(join(tmpdir(), 'astrago-test-'));
const report = join(directory, 'report.json');
const startMs = performance.now();

const child = spawn(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...filters], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, ...(fuzz ? { ASTRAGO_FUZZ_RUNS: '1000000' } : {}) },
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
const code = await new Promise<number>((resolve) => child.on('exit', (exitCode) => resolve(exitCode ?? 1)));

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numFailedTestSuites: number;
}

function read(): Report | undefined {
  try {
    return JSON.parse(readFileSync(report, 'utf8')) as Report;
  } catch {
    return undefined;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const result = read();
const passed = result?.numPassedTests ?? 0;
// A file that does not load, or an error outside any test, fails no test by itself but is a failure.
const failed = Math.max(result?.numFailedTests ?? 0, code !== 0 || passed === 0 ? 1 : 0);
const skipped = result?.numPendingTests ?? 0;
console.log(`in ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failed > 0 ? 1 : 0;
