// What is remembered of a daemon, with real processes and files in place of it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { Clock } from '@astrago/shared/runtime/clock';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MpsDaemonNow, MpsServerNow } from '#core/sharing/next-sharing-step';
import { Scratch } from '../testing/scratch.ts';
import { LastAnswers, signsOf } from './last-answers.ts';

const device = 'GPU-00000000-0000-0000-0000-000000000001';
const children: ChildProcess[] = [];
let scratch: Scratch;
let elapsedMs = 0;
let client: ChildProcess;
const clock: Clock = { nowMs: () => elapsedMs, elapsedMs: () => elapsedMs, sleep: async () => undefined };
const directory = (): string => scratch.path('pipe');
const process_ = (): ChildProcess => {
  const child = spawn('sleep', ['300'], { env: { PATH: process.env['PATH'], CUDA_MPS_PIPE_DIRECTORY: directory() } });
  children.push(child);
  return child;
};
const serving = (state: MpsServerNow['state'] = 'active'): Extract<MpsDaemonNow, { kind: 'running' }> => ({
  kind: 'running',
  limits: { threadPercentage: 50 },
  servers: [{ pid: process.pid, state, clients: [client.pid ?? 0] }],
});

beforeEach(async () => {
  scratch = new Scratch();
  elapsedMs = 0;
  mkdirSync(scratch.path('pipe', 'logs'), { recursive: true });
  const daemon = process_();
  client = process_();
  await Promise.all([once(daemon, 'spawn'), once(client, 'spawn')]);
  writeFileSync(scratch.path('pipe', 'nvidia-cuda-mps-control.pid'), `${daemon.pid}\n`);
  for (const file of ['control', 'logs/server.log']) writeFileSync(scratch.path('pipe', file), 'here\n');
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await scratch[Symbol.asyncDispose]();
});

function remembering(answer = serving()): LastAnswers {
  const last = new LastAnswers(clock, 30_000);
  last.set(device, signsOf(directory()), answer);
  return last;
}

describe('the last answer of a daemon', () => {
  it('holds while nothing changes, and no longer than it may', () => {
    const last = remembering();
    elapsedMs = 29_999;
    expect(last.get(device, directory())).toEqual(serving());
    elapsedMs = 30_000;
    expect(last.get(device, directory())).toBeUndefined();
  });

  it('is void after an act of ours', () => {
    const last = remembering();
    last.forget(device);
    expect(last.get(device, directory())).toBeUndefined();
  });

  it.each<[string, () => unknown]>([
    ['its server logs something', () => appendFileSync(scratch.path('pipe', 'logs', 'server.log'), 'a client has met a fatal error\n')],
    ['the log of its server is gone', () => rmSync(scratch.path('pipe', 'logs', 'server.log'))],
    [
      'its socket is another',
      () => {
        writeFileSync(scratch.path('pipe', 'new'), '');
        renameSync(scratch.path('pipe', 'new'), scratch.path('pipe', 'control'));
      },
    ],
    ['the daemon is another', () => writeFileSync(scratch.path('pipe', 'nvidia-cuda-mps-control.pid'), `${client.pid}\n`)],
    ['the daemon has left no pid', () => rmSync(scratch.path('pipe', 'nvidia-cuda-mps-control.pid'))],
    [
      'a client has ended',
      () => {
        client.kill('SIGKILL');
        return once(client, 'exit');
      },
    ],
  ])('is void when %s', async (_, change) => {
    const last = remembering();
    await change();
    expect(last.get(device, directory())).toBeUndefined();
  });

  it.each(['initializing', 'fault', 'unknown'] as const)('is not kept of a server that is %s', (state) => {
    expect(remembering(serving(state)).get(device, directory())).toBeUndefined();
  });

  it('is not kept where the log of the server was not to be seen', () => {
    rmSync(scratch.path('pipe', 'logs', 'server.log'));
    expect(remembering().get(device, directory())).toBeUndefined();
  });
});
