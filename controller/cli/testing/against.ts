// The program against an API that a test makes up.
import type { Workload } from '@astrago/api';
import { type Handlers, startApiServer } from './api-server.ts';
import { type CapturedRun, capturedRun } from './captured-run.ts';

export function workload(over: Partial<Workload>): Workload {
  return {
    id: 'w1',
    name: 'train-a',
    workspace: 'default',
    phase: 'queued',
    command: ['x'],
    cpuMilli: 0,
    memoryMiB: 0,
    priority: 0,
    devices: [],
    enforcement: 'hardware',
    submittedAtMs: 1,
    ...over,
  };
}

export async function against(handlers: Handlers, argv: readonly string[], signal?: AbortSignal): Promise<CapturedRun> {
  await using server = await startApiServer(handlers);
  const end = argv.includes('--') ? argv.indexOf('--') : argv.length;
  return await capturedRun(
    [...argv.slice(0, end), '--url', server.url, '--token', 't', ...argv.slice(end)],
    signal === undefined ? {} : { signal },
  );
}
