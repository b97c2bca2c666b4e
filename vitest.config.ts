import { defineConfig } from 'vitest/config';

const shared = { testTimeout: 30_000, hookTimeout: 90_000 } as const;

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        test: {
          ...shared,
          name: 'unit',
          include: ['{shared,proto,agent,controller}/**/*.test.ts', 'test/{contract,house,world}/**/*.test.ts'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        // Whole clusters of real processes: one at a time, and not beside the others.
        test: { ...shared, name: 'system', include: ['test/{journeys,chaos}/**/*.test.ts'], fileParallelism: false, sequence: { groupOrder: 1 } },
      },
    ],
  },
});
