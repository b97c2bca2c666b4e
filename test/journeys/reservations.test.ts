import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startWorld, until, type World } from '../world/index.ts';

const hour = 3_600_000;

describe('a node that is reserved for a workspace', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ nodes: 2 });
    await world.client.putWorkspace({ params: { workspace: 'team' }, body: {} });
  }, 90_000);
  afterAll(() => world?.[Symbol.asyncDispose]());

  const submit = (name: string, workspace = 'default') =>
    world.client.submitWorkload({ body: { name, workspace, command: ['sleep', '300'], gpus: 1 } });
  const isKeptFrom = (name: string) =>
    until(async () => (await world.workload(name)).reason === 'RoomIsKept', `${name} waits because of the reservation`);

  it('is the one with the least in the way', async () => {
    await submit('busy');
    const { node } = await world.reaches('busy', 'running');
    const fromMs = Date.now();
    const body = { workspace: 'team', count: 1, model: 'h100', fromMs, untilMs: fromMs + hour };

    const made = await world.client.putReservation({ params: { reservation: 'demo' }, body });

    expect(made.nodes).toHaveLength(1);
    expect(made.nodes).not.toContain(node);
    expect(made.inTheWay).toEqual([]);
  });

  it('is not given to others, and they are told why', async () => {
    await submit('theirs');
    await isKeptFrom('theirs');

    const { sentence } = await world.client.whyWorkload({ params: { workload: 'theirs' } });
    expect(sentence).toContain('kept for workspace team by reservation demo until');
  });

  it('stays reserved when the controller was killed, and takes the work of the workspace', async () => {
    await world.controller.kill();
    await world.startController();
    await world.ready();
    const { items } = await world.client.listReservations();
    expect(items).toMatchObject([{ name: 'demo', workspace: 'team' }]);
    await isKeptFrom('theirs');

    await submit('ours', 'team');

    expect((await world.reaches('ours', 'running')).node).toBe(items[0]?.nodes[0]);
    await world.client.stopWorkload({ params: { workload: 'ours' } });
    await world.reaches('ours', 'cancelled');
    await isKeptFrom('theirs');
  });

  it('is for all again when the reservation is cancelled', async () => {
    const { nodes } = await world.client.cancelReservation({ params: { reservation: 'demo' } });

    expect((await world.reaches('theirs', 'running')).node).toBe(nodes[0]);
    expect((await world.client.auditInvariants()).findings).toEqual([]);
  });
});
