// Runs the tests. The last line, alone, is `N passed, N failed`, with `, N skipped` where some were.
//
//   ./astrago test [--fuzz] [--soak] [--kubernetes] [vitest's filters and options]
import { join } from 'node:path';
import { parseCLI, startVitest, type TestModule, type TestSuite } from 'vitest/node';

const root = join(import.meta.dirname, '..');
const closeTimeoutMs = 15_000;

/** Flags of ours, and what tests find in their environment for them. */
const flags = new Map([
  ['--fuzz', ['ASTRAGO_FUZZ_RUNS', '1000000']],
  ['--soak', ['ASTRAGO_SOAK_HOURS', '24']],
  ['--kubernetes', ['ASTRAGO_TEST_KUBERNETES', '1']],
]);

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** A file or suite that broke outside its tests is one failure more, or its tests would only seem skipped. */
function count(modules: readonly TestModule[], unhandledErrorCount: number): Counts {
  const counts: Counts = { passed: 0, failed: unhandledErrorCount, skipped: 0 };
  const broken = (part: TestModule | TestSuite): boolean => part.errors().length > 0;
  for (const module of modules) {
    if (broken(module)) counts.failed += 1;
    for (const suite of module.children.allSuites()) if (broken(suite)) counts.failed += 1;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      // What never came to an end has not passed.
      counts[state === 'pending' ? 'failed' : state] += 1;
    }
  }
  return counts;
}

const given = process.argv.slice(2);
for (const [flag, [name = '', value]] of flags) if (given.includes(flag)) process.env[name] = value;
const { filter, options } = parseCLI(['vitest', 'run', ...given.filter((word) => !flags.has(word))]);

process.chdir(root);
const startMs = performance.now();
const vitest = await startVitest(filter, { ...options, watch: false, run: true });
const counts = count(vitest.state.getTestModules(), vitest.state.getUnhandledErrors().length);
const failed = counts.failed > 0 || counts.passed === 0;
// A worker that does not end must not keep the answer back.
const tooLong = setTimeout(() => {
  console.error('a test worker does not end');
  finish(true);
}, closeTimeoutMs);
await vitest.close();
clearTimeout(tooLong);
finish(failed);

function finish(bad: boolean): never {
  console.log(`took ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  console.log(`${counts.passed} passed, ${counts.failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''}`);
  process.exit(bad ? 1 : 0);
}
