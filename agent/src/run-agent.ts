// The agent as a process: up until it is told to end.
import { systemClock } from '@astrago/shared/runtime/clock';
import { Closers } from '@astrago/shared/runtime/closers';
import type { Environment } from '@astrago/shared/runtime/environment';
import { startAgent } from './agent.ts';
import type { AgentCommand } from './commands/command-line.ts';
import { standaloneDirectory } from './commands/standalone-directory.ts';
import { readAgentConfig, readStandaloneConfig } from './config.ts';

/** How long ending may take. A driver that hangs must not keep this process. */
const endLimitMs = 5000;

/** Returns when the agent was told to end and has; sets the exit code and ends the process. */
export async function runAgent(command: Extract<AgentCommand, { kind: 'run' }>, environment: Environment): Promise<never> {
  const stop = Promise.withResolvers<void>();
  // A second one is for the impatient, and ends the process at once.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.resolve());
  const closers = new Closers();
  try {
    const flags = { port: command.metricsPort, host: command.metricsHost };
    if (command.standalone) {
      const directory = closers.use(await standaloneDirectory(systemClock.nowMs()));
      closers.use(await startAgent(readStandaloneConfig(environment, directory.path, flags)));
    } else closers.use(await startAgent(readAgentConfig(environment, flags)));
    await stop.promise;
    // Workloads go on; the next agent adopts them.
    setTimeout(() => process.exit(0), endLimitMs).unref();
    await closers[Symbol.asyncDispose]();
    process.exit(0);
  } catch (failure) {
    await closers[Symbol.asyncDispose]().catch(() => undefined);
    process.stderr.write(`the agent could not start: ${explain(failure, command.standalone)}\n`);
    process.exit(1);
  }
}

function explain(failure: unknown, standalone: boolean): string {
  if (!(failure instanceof Error)) return String(failure);
  if ('code' in failure && 'port' in failure && 'address' in failure) {
    const place = `${failure.address}:${failure.port}`;
    const remedy = 'name another with --metrics-port or ASTRAGO_METRICS_BIND';
    if (failure.code === 'EADDRINUSE') return `another program listens on ${place} already; ${remedy}`;
    if (failure.code === 'EACCES') return `this user may not listen on ${place}; ${remedy}`;
    if (failure.code === 'EADDRNOTAVAIL') return `${failure.address} is no address of this machine; name one with --metrics-bind`;
  }
  // Who only wants to look need not set anything.
  const hint = !standalone && failure.message.startsWith('set ASTRAGO_') ? '; without a controller, start it with --standalone' : '';
  return `${failure.message}${hint}`;
}
