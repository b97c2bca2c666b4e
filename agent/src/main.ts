import { startAgent } from './agent.ts';
import { readAgentConfig } from './config.ts';

try {
  const agent = await startAgent(readAgentConfig(process.env));
  const stop = Promise.withResolvers<void>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.resolve());
  await stop.promise;
  // Workloads go on; the next agent adopts them. A driver that hangs must not keep this process.
  setTimeout(() => process.exit(0), 5000).unref();
  await agent[Symbol.asyncDispose]();
  process.exit(0);
} catch (failure) {
  process.stderr.write(`the agent could not start: ${failure instanceof Error ? failure.message : String(failure)}\n`);
  process.exit(1);
}
