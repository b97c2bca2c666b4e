// kill -9 of the controller, of an agent, of both, while work is submitted, placed, cut, run and stopped.
// After the restart everything acknowledged is there, nothing ran twice, and no slice leaked.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { startWorld, until, type World } from '../world/index.ts';

let world: World | undefined;
afterEach(async () => {
  await world?.[Symbol.asyncDispose]();
  world = undefined;
});

/** Small and seeded, so that a failing run can be repeated. */
function* seeded(seed: number): Generator<number, never> {
  let state = seed >>> 0;
  for (;;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state / 2 ** 32;
  }
}

const profiles = ['1g.10gb', '2g.20gb', '3g.40gb', '1g.20gb', '1g.10gb'];
const ended = new Set(['succeeded', 'failed', 'cancelled']);

interface Victims {
  readonly controller: boolean;
  readonly agent: boolean;
}

async function strike(world: World, victims: Victims): Promise<void> {
  const agents = victims.agent ? world.nodes.map(({ agent }) => agent) : [];
  await Promise.all([...(victims.controller ? [world.controller.kill()] : []), ...agents.map((agent) => agent.kill())]);
  if (victims.controller) await world.startController();
  for (const agent of agents) agent.start();
}

async function surviveKills(seed: number, victims: Victims): Promise<void> {
  world = await startWorld({ nodes: 2, gpus: 1 });
  const here = world;
  const chance = seeded(seed);
  const runs = join(here.directory, 'runs');
  const acknowledged: string[] = [];
  const stopped = new Set<string>();
  const total = 24;

  const submitting = (async () => {
    for (let index = 0; index < total; index += 1) {
      const name = `w${index}`;
      const seconds = (0.1 + chance.next().value * 1.4).toFixed(2);
      const command = ['sh', '-c', `echo ${name} >> ${runs}; sleep ${seconds}`];
      // The client repeats a broken call under the same key: an answer means it was stored once.
      const submit = () =>
        here.client.submitWorkload(
          { body: { name, command, slice: profiles[index % profiles.length] ?? '1g.10gb', graceSeconds: 1 } },
          { idempotencyKey: `${seed}-${name}` },
        );
      await until(submit, `${name} is accepted`);
      acknowledged.push(name);
      if (index % 6 === 5) {
        const victim = `w${index - 2}`;
        await until(
          () =>
            here.client.stopWorkload({ params: { workload: victim } }).then(
              () => true,
              (failure: { problem?: { code: string } }) => failure.problem?.code === 'already-ended',
            ),
          `${victim} is told to stop`,
        );
        stopped.add(victim);
      }
      await pause(40 + chance.next().value * 120);
    }
  })();

  for (let round = 0; round < 4; round += 1) {
    await pause(200 + chance.next().value * 1200);
    await strike(here, victims);
  }
  await submitting;

  // Everything acknowledged is there and ends in a stated state with a stated reason.
  for (const name of acknowledged) {
    const workload = await until(
      async () => {
        const found = await here.workload(name);
        return ended.has(found.phase) && found;
      },
      `${name} has ended`,
      90_000,
    ).catch(async (cause: unknown) => {
      throw new Error(`${name} does not end: ${JSON.stringify(await here.workload(name))}\n${here.logs()}`, { cause });
    });
    expect(workload.reason).toBeDefined();
    expect([name, workload.phase, workload.reason, workload.detail]).toEqual([
      name,
      stopped.has(name) && workload.phase !== 'succeeded' ? 'cancelled' : 'succeeded',
      expect.anything(),
      undefined,
    ]);
  }
  expect(acknowledged).toHaveLength(total);

  // Nothing ran twice, and what succeeded did run.
  const lines = readFileSync(runs, 'utf8').trim().split('\n').sort();
  expect(lines).toEqual([...new Set(lines)]);
  for (const name of acknowledged) if (!stopped.has(name)) expect(lines).toContain(name);

  // No slice leaked: nothing is held, every live slice is one the layouts name, and one big slice fits everywhere.
  await until(
    async () =>
      (await here.client.listGpus()).items.every(
        (gpu) => gpu.allocatedUnits.memory === 0 && gpu.slices.every((slice) => slice.state === 'live'),
      ),
    'desired and observed agree',
    60_000,
  );
  expect((await here.client.auditInvariants()).findings).toEqual([]);
  for (const { name, machine } of here.nodes) {
    await here.client.submitWorkload({ body: { name: `last-${name}`, command: ['true'], slice: '7g.80gb' } });
    await here.reaches(`last-${name}`, 'succeeded', 60_000);
    expect(execFileSync(join(machine, 'bin/nvidia-smi'), ['-L'], { encoding: 'utf8' })).toContain('GPU 0');
  }
}

describe('kill -9 while everything is under way', () => {
  it('of the controller', () => surviveKills(1, { controller: true, agent: false }), 240_000);
  it('of the agents', () => surviveKills(2, { controller: false, agent: true }), 240_000);
  it('of both', () => surviveKills(3, { controller: true, agent: true }), 240_000);
});
