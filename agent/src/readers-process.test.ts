// An agent that is killed leaves no nvidia-smi behind.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ScriptedSmi, scriptedSmi } from './smi/testing/scripted-smi.ts';
import { until } from './testing/until.ts';

// Real processes on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 120_000 });

const withSetpriv = (process.env['PATH'] ?? '').split(delimiter).some((directory) => existsSync(join(directory, 'setpriv')));

let smi: ScriptedSmi;
let agent: ChildProcess | undefined;
beforeEach(() => {
  // Loops say nothing: what prints would end by itself, when nobody reads it.
  smi = scriptedSmi({ '*': { exit: 2 }, '*-l*': { then: 'echo $$ >> "$here/readers"; exec sleep 300' } });
});
afterEach(async () => {
  if (agent !== undefined && agent.exitCode === null && agent.signalCode === null) {
    agent.kill('SIGKILL');
    await once(agent, 'exit');
  }
  for (const pid of readers()) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  smi[Symbol.dispose]();
});

function readers(): readonly number[] {
  return existsSync(smi.path('readers')) ? readFileSync(smi.path('readers'), 'utf8').trim().split('\n').map(Number) : [];
}

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`) && !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

describe.skipIf(!withSetpriv)('an agent that is killed', () => {
  it('takes its readers with it', async () => {
    agent = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), '--standalone', '--metrics-port', '0'], {
      env: { PATH: process.env['PATH'], ASTRAGO_NVIDIA_SMI: smi.program, ASTRAGO_NODE_NAME: 'n' },
      stdio: 'ignore',
    });
    await until(() => readers().length >= 2, 'both readers run');
    expect(readers().every(isAlive)).toBe(true);

    agent.kill('SIGKILL');
    await once(agent, 'exit');

    await until(() => !readers().some(isAlive), 'no reader is left');
  });
});
