import { readControllerConfig } from './config.ts';
import { startController } from './controller-process.ts';
import { lockDirectory } from './store/directory-lock.ts';

try {
  const config = readControllerConfig(process.env);
  await using _lock = await lockDirectory(config.dataDirectory);
  const controller = await startController(config);
  const stop = Promise.withResolvers<void>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.resolve());
  await Promise.race([stop.promise, controller.failed]);
  setTimeout(() => process.exit(0), 5000).unref();
  await controller[Symbol.asyncDispose]();
  process.exit(0);
} catch (failure) {
  process.stderr.write(`the controller stopped: ${failure instanceof Error ? failure.message : String(failure)}\n`);
  process.exit(1);
}
