import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Change } from '#core/cluster/change';
import type { Cluster } from '#core/cluster/cluster';
import { sampleCluster, sampleWorkload, slice } from '#core/cluster/sample-cluster';
import { type Draft, Journal } from './journal.ts';
import { type Batch, type IdempotencyRecord, LeadershipLost, type Store, StoreUnavailable } from './ports.ts';

const nowMs = 1000;

/** Keeps the batches it was given; `failures` are thrown first, one a transaction. */
class FakeStore implements Store {
  readonly epoch = 1;
  readonly batches: Batch[] = [];
  readonly failures: (Error | undefined)[] = [];
  onCommit: () => void = () => undefined;

  commit(batch: Batch): void {
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    this.batches.push(batch);
    this.onCommit();
  }

  load() {
    return { workloads: [], allocations: [], layouts: [], nodes: [], workspaces: [], reservations: [], pools: [], sequence: 0 };
  }

  listWorkloads() {
    return [];
  }

  findWorkload(): undefined {
    return undefined;
  }

  findIdempotency(): undefined {
    return undefined;
  }

  verifyWritable(): void {
    this.onCommit();
  }

  close(): void {
    this.batches.length = 0;
  }
}

function startJournal() {
  const cluster = sampleCluster([]);
  const store = new FakeStore();
  const lost: LeadershipLost[] = [];
  const committed: (readonly Change[])[] = [];
  const journal = new Journal({
    cluster,
    store,
    nowMs: () => nowMs,
    onCommitted: (changes) => committed.push(changes),
    onLeadershipLost: (failure) => lost.push(failure),
  });
  return { cluster, store, lost, committed, journal };
}

function put(sequence: number, priority = 0): Change {
  return { kind: 'workload', record: sampleWorkload(sequence, slice('1g.10gb'), { priority }) };
}

function submitting(sequence: number) {
  return (draft: Draft): number => {
    draft.apply(put(sequence));
    draft.audit('submit', `w${sequence}`);
    return sequence;
  };
}

function throwingAfter(sequence: number, failure: Error) {
  return (draft: Draft): never => {
    submitting(sequence)(draft);
    throw failure;
  };
}

function names(cluster: Cluster): readonly string[] {
  return [...cluster.workloads.values()].map((workload) => workload.name);
}

describe('the journal', () => {
  it('writes the commands of one turn in one transaction and answers each with its own value', async () => {
    const { journal, store, committed } = startJournal();

    const answers = await Promise.all([1, 2, 3].map((sequence) => journal.commit('admin', submitting(sequence))));

    expect(answers).toEqual([1, 2, 3]);
    expect(store.batches).toHaveLength(1);
    expect(store.batches[0]?.changes).toEqual([put(1), put(2), put(3)]);
    expect(committed).toEqual([[put(1), put(2), put(3)]]);
  });

  it('lets a later command see what an earlier one of the same turn did', async () => {
    const { journal } = startJournal();

    void journal.commit('admin', submitting(1));
    const seen = await journal.commit('admin', (draft) => names(draft.cluster));

    expect(seen).toEqual(['w1']);
  });

  it('begins a new transaction for what comes after the turn', async () => {
    const { journal, store } = startJournal();

    await journal.commit('admin', submitting(1));
    await journal.commit('admin', submitting(2));

    expect(store.batches.map((batch) => batch.changes)).toEqual([[put(1)], [put(2)]]);
  });

  it('answers nobody before the store has committed', async () => {
    const { journal, store, cluster } = startJournal();
    const order: string[] = [];
    store.onCommit = () => order.push('committed');

    const first = journal.commit('admin', submitting(1)).then(() => order.push('answered'));
    expect(names(cluster)).toEqual([]);
    await Promise.all([first, journal.commit('admin', submitting(2)).then(() => order.push('answered'))]);

    expect(order).toEqual(['committed', 'answered', 'answered']);
  });

  it('undoes a command that throws alone, and rejects only its caller', async () => {
    const { journal, store, cluster } = startJournal();
    const failure = new Error('no');

    const answers = await Promise.allSettled([
      journal.commit('admin', submitting(1)),
      journal.commit('admin', throwingAfter(2, failure)),
      journal.commit('admin', submitting(3)),
    ]);

    expect(answers.map((answer) => (answer.status === 'rejected' ? answer.reason : answer.value))).toEqual([1, failure, 3]);
    expect(names(cluster)).toEqual(['w1', 'w3']);
    expect(store.batches[0]?.audit.map((entry) => entry.subject)).toEqual(['w1', 'w3']);
  });

  it('says in the audit log who did what and when', async () => {
    const { journal, store } = startJournal();

    await journal.commit('admin', (draft) => draft.audit('cordon', 'node-1'));

    expect(store.batches[0]?.audit).toEqual([{ actor: 'admin', action: 'cordon', subject: 'node-1', detail: '', atMs: nowMs }]);
  });

  it('does not go to the store for commands that only read', async () => {
    const { journal, store } = startJournal();

    await expect(journal.commit('admin', (draft) => draft.cluster.workloads.size)).resolves.toBe(0);

    expect(store.batches).toEqual([]);
  });

  it('undoes all commands of a transaction that fails, and rejects all their callers', async () => {
    const { journal, store, cluster, committed, lost } = startJournal();
    await journal.commit('admin', submitting(1));
    const failure = new StoreUnavailable('the disk is full');
    store.failures.push(failure);

    const answers = await Promise.allSettled([
      journal.commit('admin', submitting(2)),
      journal.commit('admin', (draft) => draft.apply(put(1, 5))),
      journal.commit('admin', submitting(3)),
    ]);

    expect(answers.map((answer) => (answer.status === 'rejected' ? answer.reason : undefined))).toEqual([failure, failure, failure]);
    expect([...cluster.workloads.values()]).toEqual([put(1)].map((change) => ('record' in change ? change.record : undefined)));
    expect(committed).toHaveLength(1);
    expect(lost).toEqual([]);
  });

  it('takes commands again after a transaction that failed', async () => {
    const { journal, store, cluster } = startJournal();
    store.failures.push(new StoreUnavailable('the disk is full'));
    await expect(journal.commit('admin', submitting(1))).rejects.toBeInstanceOf(StoreUnavailable);

    await journal.commit('admin', submitting(1));

    expect(names(cluster)).toEqual(['w1']);
  });

  it('reports that another controller leads', async () => {
    const { journal, store, cluster, lost } = startJournal();
    const failure = new LeadershipLost('epoch 2 leads');
    store.failures.push(failure);

    await expect(journal.commit('admin', submitting(1))).rejects.toBe(failure);

    expect(lost).toEqual([failure]);
    expect(names(cluster)).toEqual([]);
  });

  it('recalls a request of the same turn, but not one of a command that threw', async () => {
    const { journal } = startJournal();
    const record = (key: string): IdempotencyRecord => ({ key, fingerprint: 'f', workload: 'w', atMs: 0 });

    void journal.commit('admin', (draft) => draft.remember(record('kept')));
    const thrown = journal.commit('admin', (draft) => {
      draft.remember(record('thrown'));
      throw new Error('no');
    });
    const recalled = journal.commit('admin', (draft) => [draft.recall('kept'), draft.recall('thrown')]);

    await expect(thrown).rejects.toThrow('no');
    await expect(recalled).resolves.toEqual([record('kept'), undefined]);
  });
});

describe('random turns', () => {
  const command = fc.record({ sequence: fc.integer({ min: 1, max: 5 }), priority: fc.integer({ min: 0, max: 9 }), throws: fc.boolean() });
  const turn = fc.record({ commands: fc.array(command, { maxLength: 6 }), fails: fc.boolean() });

  it('leave the cluster, and the store, as a replay of what was acknowledged', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(turn, { maxLength: 8 }), async (turns) => {
        const { journal, store, cluster, committed } = startJournal();
        const acknowledged: Change[] = [];

        for (const { commands, fails } of turns) {
          store.failures.splice(0, Infinity, fails ? new StoreUnavailable('no') : undefined);
          const asked = commands.map(({ sequence, priority, throws }) =>
            journal.commit('admin', (draft) => {
              draft.apply(put(sequence, priority));
              if (throws) throw new Error('no');
              return put(sequence, priority);
            }),
          );
          for (const answer of await Promise.allSettled(asked)) if (answer.status === 'fulfilled') acknowledged.push(answer.value);
        }

        const replay = sampleCluster([]);
        for (const change of acknowledged) replay.apply(change);
        expect([...cluster.workloads.values()].sort(bySequence)).toEqual([...replay.workloads.values()].sort(bySequence));
        expect(cluster.queue()).toEqual(replay.queue());
        expect(store.batches.flatMap((batch) => batch.changes)).toEqual(acknowledged);
        expect(committed.flat()).toEqual(acknowledged);
      }),
    );
  });
});

function bySequence(a: { readonly sequence: number }, b: { readonly sequence: number }): number {
  return a.sequence - b.sequence;
}
