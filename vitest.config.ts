import { configDefaults, defineConfig } from 'vitest/config';

const exclude = [...configDefaults.exclude, '**/fixtures/**'];
const limits = { testTimeout: 30_000, hookTimeout: 90_000 };

/** Groups run one after the other, the quick answers first. */
function project(name: string, order: number, include: string[]) {
  return { ...limits, name, include, exclude, pool: 'forks', sequence: { groupOrder: order } } as const;
}

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      { test: project('house', 0, ['test/house/**/*.test.ts']) },
      { test: project('unit', 0, ['{shared,proto,agent,controller,bench}/**/*.test.ts', 'test/{contract,world,manifests}/**/*.test.ts']) },
      // Whole clusters of real processes: one at a time, and beside nothing else.
      { test: { ...project('system', 1, ['test/{journeys,chaos}/**/*.test.ts']), fileParallelism: false } },
    ],
  },
});
