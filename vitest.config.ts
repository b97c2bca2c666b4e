import { defineConfig } from 'vitest/config';
export default defineConfig({ test: { include: ['{shared,proto,agent,controller,test,bench}/**/*.test.ts'], testTimeout: 30_000, hookTimeout: 90_000 } });
