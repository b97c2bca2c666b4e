// The program `astrago`.
import { systemClock } from '@astrago/shared/runtime/clock';
import { run } from './run.ts';
import { processTerminal } from './terminal.ts';

// A reader that went away (astrago ps | head) is not an error of ours.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (failure: NodeJS.ErrnoException) => {
    if (failure.code === 'EPIPE') process.exit(process.exitCode ?? 0);
    throw failure;
  });
}

let interrupted: AbortController | undefined;

function interrupt(): AbortSignal {
  if (interrupted !== undefined) return interrupted.signal;
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => controller.abort());
  interrupted = controller;
  return controller.signal;
}

process.exitCode = await run(process.argv.slice(2), {
  terminal: processTerminal(process.env),
  environment: process.env,
  clock: systemClock,
  interrupt,
});
