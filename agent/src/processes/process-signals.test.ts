// Against real processes: what may be signalled is what the kernel says.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../testing/until.ts';
import { readAllProcs, readProc } from './proc.ts';
import { processSignals } from './process-signals.ts';

const signals = processSignals(() => false);
const started: ChildProcess[] = [];

async function sleeper(): Promise<{ readonly pid: number; readonly startTime: string; readonly child: ChildProcess }> {
  const child = spawn('sleep', ['300'], { stdio: 'ignore' });
  started.push(child);
  await once(child, 'spawn');
  const fact = await until(() => readProc(child.pid ?? 0), 'it is there');
  return { pid: fact.pid, startTime: fact.startTime, child };
}

afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

describe('a signal', () => {
  it('reaches the process that is meant', async () => {
    const { pid, startTime, child } = await sleeper();
    const ended = once(child, 'exit');
    expect(signals.obstacle(pid, startTime)).toBeUndefined();
    expect(signals.send(pid, startTime, 'SIGTERM')).toBe('sent');
    expect(await ended).toEqual([null, 'SIGTERM']);
    expect(signals.send(pid, startTime, 'SIGTERM')).toBe('gone');
  });

  it('does not reach another process with its number', async () => {
    const { pid, startTime } = await sleeper();
    expect(signals.send(pid, String(Number(startTime) - 1), 'SIGKILL')).toBe('gone');
    expect(readProc(pid)?.state).not.toBe('Z');
  });

  it('is never for the first process, the agent, what it runs under, or a supervisor', async () => {
    const { pid, startTime } = await sleeper();
    const own = [1, 2, process.pid, process.ppid];
    expect(own.map((one) => signals.obstacle(one, readProc(one)?.startTime ?? ''))).toEqual(own.map(() => 'protected'));
    expect(processSignals((one, start) => one === pid && start === startTime).obstacle(pid, startTime)).toBe('protected');
    // Kernel threads are in no listing of ours at all.
    expect(readAllProcs().every(({ parent }) => parent !== 2)).toBe(true);
  });
});
