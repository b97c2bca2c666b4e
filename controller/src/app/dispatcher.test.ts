import type { NodeName } from '@astrago/shared/domain/ids';
import { afterEach, describe, expect, it } from 'vitest';
import type { Change } from '#core/cluster/change';
import { allocationIds, h100, sampleCluster, sampleWorkload, slice } from '#core/cluster/sample-cluster';
import { decide } from '#core/scheduling/decide';
import { applyBind } from '#core/scheduling/round';
import { stepWorkload } from '#core/workload';
import { FakeAgents } from '../testing/fake-agents.ts';
import { HandClock, turns } from '../testing/hand-clock.ts';
import { Dispatcher } from './dispatcher.ts';
import { AgentUnavailable, type ApplyOutcome, LeadershipLost } from './ports.ts';

const retryMs = 1000;
const refused = (reason: 'stale-generation' | 'stale-epoch' | 'invalid', generation = 0): Promise<ApplyOutcome> =>
  Promise.resolve({ kind: 'refused', reason, detail: 'no', epoch: 7, generation });

let ending = new AbortController();
afterEach(() => ending.abort());

/** A dispatcher over two nodes, each of one H100, that has told them both what they hold: nothing. */
async function startDispatcher(agents = new FakeAgents()) {
  const cluster = sampleCluster(['node-1', 'node-2'].map((name) => ({ name, gpus: [h100] })));
  for (const record of [...cluster.nodes.values()]) cluster.apply({ kind: 'node', record: { ...record, address: `${record.name}:1` } });
  const clock = new HandClock();
  const lost: LeadershipLost[] = [];
  const logged: string[] = [];
  const dispatcher = new Dispatcher({
    cluster,
    agents,
    epoch: 5,
    clock,
    retryMs,
    onLeadershipLost: (failure) => lost.push(failure),
    log: (_facts, message) => logged.push(message),
  });
  ending = new AbortController();
  void dispatcher.run(ending.signal);
  await turns();
  const nextId = allocationIds();
  let sequence = 0;
  /** Places one more workload where the scheduler wants it, and tells the dispatcher. */
  const place = async (): Promise<void> => {
    sequence += 1;
    const changes: Change[] = [];
    const apply = (change: Change): void => {
      cluster.apply(change);
      changes.push(change);
    };
    apply({ kind: 'workload', record: sampleWorkload(sequence, slice('7g.80gb')) });
    const [bind] = decide(cluster, { nextAllocationId: nextId, nowMs: 0 }).binds;
    const workload = bind === undefined ? undefined : cluster.workloads.get(bind.workload);
    if (bind === undefined || workload === undefined) throw new Error('the test places too much');
    applyBind({ apply }, workload, bind, 0);
    apply({ kind: 'workload', record: stepWorkload(workload, { kind: 'bound', ...bind, atMs: 0 }) });
    dispatcher.changed(changes);
    await turns();
  };
  return { cluster, clock, agents, dispatcher, lost, logged, place };
}

describe('the dispatcher', () => {
  it('tells every node at the start, and then only the one whose state has changed', async () => {
    const { agents, clock, place } = await startDispatcher();
    expect(agents.orders.map(({ node, order }) => [node, order.epoch, order.generation])).toEqual([
      ['node-1', 5, 1],
      ['node-2', 5, 1],
    ]);

    await place();
    await clock.advance(retryMs);

    expect(agents.orders.slice(2).map(({ node, order }) => [node, order.generation, order.content.allocations.length])).toEqual([
      ['node-1', 2, 1],
    ]);
    expect(agents.orders[2]?.order.content.gpus).toMatchObject([{ layout: { kind: 'mig', slices: [{ profile: '7g.80gb', start: 0 }] } }]);
  });

  it('finds a change that it was not told of', async () => {
    const { agents, clock, cluster } = await startDispatcher();
    const gpu = cluster.gpus()[0]?.uuid;
    if (gpu === undefined) throw new Error('no GPU');
    cluster.apply({ kind: 'layout', record: { gpu, node: 'node-1' as NodeName, layout: { kind: 'whole' }, pinned: true } });

    for (let second = 0; second < 11; second += 1) await clock.advance(retryMs);

    expect(agents.ordersTo('node-1').map((order) => order.content.gpus.length)).toEqual([0, 1]);
  });

  it('lets a node that hangs keep no other waiting', async () => {
    const { agents, place } = await startDispatcher();
    agents.answers.set('node-1', () => new Promise(() => undefined));

    await place();
    await place();

    expect(agents.ordersTo('node-1')).toHaveLength(2);
    expect(agents.ordersTo('node-2').at(-1)?.content.allocations).toHaveLength(1);
  });

  it('sends what changed while an order was under way afterwards', async () => {
    const { agents, cluster, dispatcher, place } = await startDispatcher();
    const answer = Promise.withResolvers<ApplyOutcome>();
    agents.answers.set('node-1', () => answer.promise);
    await place();
    const [allocation] = cluster.allocations.values();
    if (allocation === undefined) throw new Error('nothing was placed');
    const released = { kind: 'allocation-released', id: allocation.id } as const;
    cluster.apply(released);
    dispatcher.changed([released]);
    await turns();
    expect(agents.ordersTo('node-1')).toHaveLength(2);

    answer.resolve({ kind: 'accepted' });
    await turns();

    expect(agents.ordersTo('node-1').map((order) => [order.generation, order.content.allocations.length])).toEqual([
      [1, 0],
      [2, 1],
      [3, 0],
    ]);
  });

  it('tries again what could not be handed over, and tells of it once', async () => {
    const agents = new FakeAgents();
    agents.answers.set('node-1', () => Promise.reject(new AgentUnavailable('node-1' as NodeName, { cause: undefined })));
    const { clock, logged } = await startDispatcher(agents);

    await clock.advance(retryMs);
    agents.answers.clear();
    await clock.advance(retryMs);
    await clock.advance(retryMs);

    expect(agents.ordersTo('node-1').map((order) => order.generation)).toEqual([1, 1, 1]);
    expect(logged).toEqual(['a desired state could not be handed over']);
  });

  it('goes beyond a generation that the node has seen', async () => {
    const agents = new FakeAgents();
    agents.answers.set('node-1', (order) =>
      order.generation > 9 ? Promise.resolve({ kind: 'accepted' }) : refused('stale-generation', 9),
    );
    await startDispatcher(agents);

    expect(agents.ordersTo('node-1').map((order) => order.generation)).toEqual([1, 10]);
  });

  it('repeats a refused order, and tells of the refusal once', async () => {
    const agents = new FakeAgents();
    agents.answers.set('node-1', () => refused('invalid'));
    const { clock, logged } = await startDispatcher(agents);

    await clock.advance(retryMs);
    await clock.advance(retryMs);

    expect(agents.ordersTo('node-1').map((order) => order.generation)).toEqual([1, 1, 1]);
    expect(logged).toEqual(['a desired state was refused']);
  });

  it('stops leading when a node has heard a later controller', async () => {
    const agents = new FakeAgents();
    agents.answers.set('node-2', () => refused('stale-epoch'));
    const { lost } = await startDispatcher(agents);

    expect(lost).toEqual([expect.any(LeadershipLost)]);
  });

  it('tells a node again whose ledger does not hold what it acknowledged', async () => {
    const { agents, dispatcher } = await startDispatcher();

    dispatcher.nodeHolds('node-1' as NodeName, 5, 1);
    await turns();
    expect(agents.ordersTo('node-1')).toHaveLength(1);
    dispatcher.nodeHolds('node-1' as NodeName, 4, 80);
    await turns();

    expect(agents.ordersTo('node-1').map((order) => order.generation)).toEqual([1, 1]);
  });
});
