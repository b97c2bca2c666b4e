import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock as clock } from '@astrago/shared/runtime/clock';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { down } from '../commands/down.ts';
import { up } from '../commands/up.ts';
import type { CommandContext } from '../context.ts';
import { CommandFailure } from '../failure.ts';
import { identify, isAlive, parseIdentity } from '../locate/process-identity.ts';
import { stubPrograms } from '../testing/stub-programs.ts';
import { endProcesses } from './end-processes.ts';
import { LocalCluster, type LocalClusterDeps } from './local-cluster.ts';
import { everythingOf } from './proc-scan.ts';
import { readProcessBook } from './process-book.ts';

let directory: string;
beforeEach(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'astrago-up-')));
});
afterEach(async () => {
  await endProcesses(everythingOf(directory), { clock, graceMs: 0 });
  rmSync(directory, { recursive: true, force: true });
});

describe('a local cluster', () => {
  it('starts, brings back what is killed at the same address, and leaves no process when it is stopped', { timeout: 60_000 }, async () => {
    const stop = new AbortController();
    const ready = Promise.withResolvers<void>();
    const ended = new LocalCluster(deps({ onReady: () => ready.resolve() })).run(stop.signal);
    await Promise.race([ready.promise, ended]);
    const url = read('cluster.json')['url'];
    expect(read('cluster.json')).toMatchObject({ state: 'ready', pid: process.pid, tokenFile: join(directory, 'token') });

    for (const name of ['sim-1', 'controller']) {
      const before = await booked(name);
      process.kill(before, 'SIGKILL');
      await until(async () => (await booked(name)) !== before);
    }
    await until(async () => read('controller.json')['pid'] === (await booked('controller')));
    expect(read('cluster.json')['url']).toBe(url);

    stop.abort();
    await ended;
    expect(everythingOf(directory)).toEqual([]);
    expect(existsSync(join(directory, 'cluster.json'))).toBe(false);
  });

  it('gives up with what the controller wrote when it cannot be started', { timeout: 60_000 }, async () => {
    const environment = { PATH: process.env['PATH'], STUB_CONTROLLER_BREAKS: '1' };
    const failure: unknown = await new LocalCluster(deps({ environment, limits: { failuresMax: 2 } }))
      .run(new AbortController().signal)
      .catch((thrown: unknown) => thrown);

    expect(failure).toBeInstanceOf(CommandFailure);
    expect((failure as CommandFailure).message).toContain('ended with exit code 3, 2 times in a row');
    expect((failure as CommandFailure).message).toContain('the database is unreadable');
    expect(everythingOf(directory)).toEqual([]);
  });

  it('says that a port is taken before it starts anything', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as { port: number };

    const started = new LocalCluster(deps({ plan: { port, nodes: [] } })).run(new AbortController().signal);

    await expect(started).rejects.toThrow(`Port ${port} is taken by another program.`);
    other.close();
  });
});

describe('up and down', () => {
  it('detach, find the running one again, survive a kill -9 of the supervisor, and stop everything', { timeout: 90_000 }, async () => {
    const said: string[] = [];
    const flags = { port: 0, nodes: 1, gpus: 2, model: 'stub', detach: true };
    expect(await up(context(said), flags, stubPrograms)).toBe(0);
    const first = said.splice(0).at(-1);
    const supervisor = parseIdentity(read('supervisor.json'));
    const workload = Number(readFileSync(join(directory, 'nodes', 'sim-1', 'agent', 'workload'), 'utf8'));

    expect(await up(context(said), flags, stubPrograms)).toBe(0);
    expect(said.splice(0).at(-1)).toBe(first);
    await expect(up(context(said), { ...flags, nodes: 2 }, stubPrograms)).rejects.toThrow('runs with 1 nodes');

    const stale = await booked('controller');
    process.kill(supervisor?.pid ?? 0, 'SIGKILL');
    await until(() => supervisor !== undefined && !isAlive(supervisor));
    expect(await up(context(said), flags, stubPrograms)).toBe(0);
    expect(await booked('controller')).not.toBe(stale);
    expect(identify(stale)).toBeUndefined();
    expect(identify(workload)).toBeDefined();

    said.length = 0;
    expect(await down(context(said), { timeout: 5 }, stubPrograms)).toBe(0);
    expect(said.at(-1)).toContain('no process is left');
    expect(everythingOf(directory)).toEqual([]);
    expect(await down(context(said), { timeout: 5 }, stubPrograms)).toBe(0);
    expect(said.at(-1)).toBe(`Nothing runs in ${directory}.`);
  });

  it('say what is wrong when a machine cannot be simulated', { timeout: 60_000 }, async () => {
    const started = up(context([]), { port: 0, nodes: 1, model: 'no-such-model', detach: true }, stubPrograms);

    await expect(started).rejects.toThrow('the simulator does not know no-such-model');
    await until(() => everythingOf(directory).length === 0);
  });
});

function deps(over: Partial<LocalClusterDeps>): LocalClusterDeps {
  return {
    directory,
    plan: {
      port: 0,
      nodes: [
        { kind: 'simulated', name: 'sim-1', model: 'stub', gpus: 2, seed: 1 },
        { kind: 'simulated', name: 'sim-2', model: 'stub', gpus: 2, seed: 2 },
      ],
    },
    programs: stubPrograms,
    clock,
    environment: { PATH: process.env['PATH'] },
    version: '0.0.0',
    tell: () => undefined,
    onReady: () => undefined,
    ...over,
  };
}

function context(said: string[]): CommandContext {
  return {
    terminal: {
      colours: undefined as never,
      print: (text) => void said.push(text),
      remark: () => undefined,
      pour: () => Promise.resolve(),
    },
    json: false,
    environment: { PATH: process.env['PATH'] },
    choice: { data: directory },
    clock,
    connect: () => Promise.reject(new Error('not used here')),
    interrupt: () => new AbortController().signal,
  };
}

function read(name: string): Record<string, unknown> {
  return existsSync(join(directory, name)) ? (JSON.parse(readFileSync(join(directory, name), 'utf8')) as Record<string, unknown>) : {};
}

async function booked(name: string): Promise<number> {
  return (await readProcessBook(join(directory, 'processes.json'))).find((entry) => entry.name === name)?.pid ?? 0;
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries += 1) {
    if (tries > 400) throw new Error('it did not come true within 20 s');
    await clock.sleep(50);
  }
}
