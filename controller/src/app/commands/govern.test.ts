import type { NodeName } from '@astrago/shared/domain/ids';
import { describe, expect, it } from 'vitest';
import { sampleCluster } from '#core/cluster/sample-cluster';
import { OpenedStore } from '../../testing/opened-store.ts';
import { Journal } from '../journal.ts';
import { changeLabels, changeTaints, setCordon } from './govern.ts';

const node = 'a' as NodeName;

class NodeBench implements Disposable {
  readonly opened = new OpenedStore();
  readonly cluster = sampleCluster([{ name: node, gpus: [] }]);
  readonly journal = new Journal({
    cluster: this.cluster,
    store: this.opened.store,
    nowMs: () => 100,
    onCommitted: () => undefined,
    onLeadershipLost: () => undefined,
  });

  label(set: Readonly<Record<string, string>>, remove: readonly string[] = []) {
    return changeLabels(this.journal, 'admin', node, { set, remove });
  }

  taint(add: readonly string[], remove: readonly string[] = []) {
    return changeTaints(this.journal, 'admin', node, { add, remove });
  }

  get stored() {
    return this.opened.store.load().nodes[0];
  }

  get auditLog(): readonly string[] {
    return this.opened.raw(
      (database) =>
        database.prepare("SELECT action || ' ' || subject || ' ' || detail FROM audit ORDER BY sequence").pluck().all() as string[],
    );
  }

  [Symbol.dispose](): void {
    this.opened[Symbol.dispose]();
  }
}

describe('labels of a node', () => {
  it('are set, changed and removed, durably, each with its row in the audit log', async () => {
    using bench = new NodeBench();

    await bench.label({ rack: 'r1', zone: 'z' });
    await bench.label({ rack: 'r2' }, ['zone', 'never-there']);

    expect(bench.stored).toMatchObject({ name: node, labels: { rack: 'r2' } });
    expect(bench.auditLog).toEqual(['label a {"rack":"r1","zone":"z"}', 'label a {"rack":"r2"}']);
  });

  it('that are as they were leave no trace', async () => {
    using bench = new NodeBench();
    await bench.label({ rack: 'r1', zone: 'z' });

    await bench.label({ zone: 'z', rack: 'r1' }, ['never-there']);

    expect(bench.auditLog).toHaveLength(1);
  });
});

describe('taints of a node', () => {
  it('are added, take the place of one of the same key, and are removed by key', async () => {
    using bench = new NodeBench();

    await bench.taint(['spot', 'team=a']);
    await bench.taint(['team=b']);
    expect(bench.stored?.taints).toEqual(['spot', 'team=b']);
    await bench.taint([], ['team', 'spot', 'never-there']);

    expect(bench.stored?.taints).toEqual([]);
    expect(bench.auditLog).toEqual(['taint a ["spot","team=a"]', 'taint a ["spot","team=b"]', 'taint a []']);
  });

  it('stay when the node is cordoned, and so do its labels', async () => {
    using bench = new NodeBench();
    await bench.taint(['spot']);
    await bench.label({ rack: 'r1' });

    await setCordon(bench.journal, 'admin', node, true);

    expect(bench.stored).toMatchObject({ cordoned: true, taints: ['spot'], labels: { rack: 'r1' } });
  });
});

it('a node that nobody knows is refused', async () => {
  using bench = new NodeBench();

  await expect(changeLabels(bench.journal, 'admin', 'b' as NodeName, { set: { a: 'b' }, remove: [] })).rejects.toMatchObject({
    code: 'not-found',
  });
});
