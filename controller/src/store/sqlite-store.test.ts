import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { AllocationId, NodeName, ReservationName, WorkloadName, WorkspaceName } from '@astrago/shared/domain/ids';
import type { ProfileName } from '@astrago/shared/domain/mig/profile';
import { describe, expect, it } from 'vitest';
import type { Change } from '#core/cluster/change';
import type { AllocationRecord, LayoutRecord, NodeRecord, PoolRecord, ReservationRecord, WorkspaceRecord } from '#core/cluster/records';
import { sampleGpuUuid, sampleWorkload, slice, whole } from '#core/cluster/sample-cluster';
import { StoreUnavailable } from '../app/ports.ts';
import { auditEntry, batch, OpenedStore, put } from '../testing/opened-store.ts';
import { TemporaryDirectory } from '../testing/temporary-directory.ts';
import { SqliteStore } from './sqlite-store.ts';

const gpu = sampleGpuUuid('node-1', 0);
const wanted = { profile: '3g.40gb' as ProfileName, start: 4 };
const workload = sampleWorkload(1, slice('3g.40gb'), { environment: { A: 'é\n"' }, model: 'h100' });
const allocation: AllocationRecord = {
  id: 'alc_00000001' as AllocationId,
  workload: workload.id,
  workspace: workload.workspace,
  node: 'node-1' as NodeName,
  devices: [{ gpu, slice: wanted }],
  units: { compute: 3, memory: 4 },
  cpuMilli: 1000,
  memoryMiB: 2000,
  intent: 'run',
};
const layout: LayoutRecord = { gpu, node: 'node-1' as NodeName, layout: { kind: 'mig', slices: [wanted] }, pinned: true };
const node: NodeRecord = { name: 'node-1' as NodeName, address: '10.0.0.1:8000', cordoned: true, bootId: 'boot-1' };
const workspace: WorkspaceRecord = { name: 'team-a' as WorkspaceName, limit: { compute: 7, memory: undefined } };
const reservation: ReservationRecord = {
  name: 'demo' as ReservationName,
  workspace: workspace.name,
  nodes: [node.name],
  fromMs: 1,
  untilMs: 2,
};

const pool: PoolRecord = { model: 'NVIDIA H100 80GB HBM3', repartition: 'act' };

const oneOfEach: readonly Change[] = [
  put(workload),
  { kind: 'allocation', record: allocation },
  { kind: 'layout', record: layout },
  { kind: 'node', record: node },
  { kind: 'workspace', record: workspace },
  { kind: 'reservation', record: reservation },
  { kind: 'pool', record: pool },
];

describe('what was committed', () => {
  it('is loaded again, whatever its kind', () => {
    using opened = new OpenedStore();
    opened.store.commit(batch(oneOfEach));

    const loaded = opened.reopen().load();

    expect(loaded).toEqual({
      workloads: [workload],
      allocations: [allocation],
      layouts: [layout],
      nodes: [node],
      workspaces: [workspace],
      reservations: [reservation],
      pools: [pool],
      sequence: 1,
    });
  });

  it('replaces what was there under the same key', () => {
    using opened = new OpenedStore();
    const later = [
      { kind: 'workload', record: { ...workload, phase: 'running', startedAtMs: 5 } },
      { kind: 'allocation', record: { ...allocation, intent: 'stop' } },
      { kind: 'layout', record: { ...layout, pinned: false, layout: { kind: 'whole' } } },
      { kind: 'node', record: { ...node, cordoned: false } },
      { kind: 'workspace', record: { ...workspace, limit: { compute: undefined, memory: 8 } } },
      { kind: 'reservation', record: { ...reservation, untilMs: 3 } },
      { kind: 'pool', record: { ...pool, repartition: 'off' } },
    ] as const;
    opened.store.commit(batch(oneOfEach));

    opened.store.commit(batch(later));

    const { workloads, allocations, layouts, nodes, workspaces, reservations, pools } = opened.store.load();
    expect([workloads, allocations, layouts, nodes, workspaces, reservations, pools]).toEqual(later.map(({ record }) => [record]));
  });

  it('is gone when it was released or forgotten', () => {
    using opened = new OpenedStore();
    opened.store.commit(
      batch([
        { kind: 'allocation', record: allocation },
        { kind: 'layout', record: layout },
        { kind: 'reservation', record: reservation },
      ]),
    );

    opened.store.commit(
      batch([
        { kind: 'allocation-released', id: allocation.id },
        { kind: 'layout-forgotten', gpu },
        { kind: 'reservation-cancelled', name: reservation.name },
      ]),
    );

    expect(opened.store.load()).toMatchObject({ allocations: [], layouts: [], reservations: [] });
  });

  it('keeps ended workloads out of the working set, and their sequence used', () => {
    using opened = new OpenedStore();
    opened.store.commit(batch([put(workload), put(sampleWorkload(2, whole(1), { phase: 'succeeded' }))]));

    const { workloads, sequence } = opened.store.load();

    expect({ workloads, sequence }).toEqual({ workloads: [workload], sequence: 2 });
  });

  it('is in a file only its owner reads', () => {
    using opened = new OpenedStore();
    opened.store.commit(batch([put(workload)]));

    expect([opened.file, `${opened.file}-wal`].map((file) => statSync(file).mode & 0o777)).toEqual([0o600, 0o600]);
  });

  it('is all of a batch or nothing of it', () => {
    using opened = new OpenedStore();
    const key = { key: 'key-1', fingerprint: 'f', workload: workload.id, atMs: 1000 };

    // Keys are written last: what failed here had everything else written.
    expect(() => opened.store.commit(batch([put(workload)], { audit: [auditEntry('a')], idempotency: [key, key] }))).toThrow(
      StoreUnavailable,
    );

    expect(opened.store.load().workloads).toEqual([]);
    expect(opened.store.findIdempotency('key-1')).toBeUndefined();
    opened.store.commit(batch([put(workload)], { audit: [auditEntry('b')] }));
    expect(opened.store.firstBrokenAuditRow()).toBeUndefined();
  });

  it('is there after the process was killed, as far as it was acknowledged', async () => {
    using directory = new TemporaryDirectory();
    const file = directory.file('astrago.db');
    const child = spawn(process.execPath, [join(import.meta.dirname, '../testing/commit-forever.ts'), file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(child, 'close');
    let printed = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
      if (printed.length > 1000) child.kill('SIGKILL');
    });

    expect(await exited).toEqual([null, 'SIGKILL']);

    const acknowledged = printed.split('\n').slice(0, -1);
    const store = new SqliteStore(file);
    try {
      const kept = store.listWorkloads({ limit: 1_000_000 }).map((record) => record.id as string);
      expect(acknowledged.length).toBeGreaterThan(10);
      expect(acknowledged.filter((id) => !kept.includes(id))).toEqual([]);
      // At most the one that was on its way.
      expect(kept.length - acknowledged.length).toBeLessThanOrEqual(1);
      expect(store.firstBrokenAuditRow()).toBeUndefined();
    } finally {
      store.close();
    }
  });
});

describe('workloads in the store', () => {
  const teamB = 'team-b' as WorkspaceName;
  const records = [
    sampleWorkload(1, whole(1), { phase: 'succeeded' }),
    sampleWorkload(2, whole(1)),
    sampleWorkload(3, whole(1), { workspace: teamB }),
    sampleWorkload(4, whole(1), { workspace: teamB, phase: 'running' }),
    sampleWorkload(5, whole(1), { name: 'w2' as WorkloadName, workspace: teamB }),
  ];

  function filled(): OpenedStore {
    const opened = new OpenedStore();
    opened.store.commit(batch(records.map(put)));
    return opened;
  }

  it('are listed newest first', () => {
    using opened = filled();

    expect(opened.store.listWorkloads({ limit: 10 })).toEqual(records.toReversed());
  });

  it('are listed page by page, each once', () => {
    using opened = filled();

    const first = opened.store.listWorkloads({ limit: 2 });
    const second = opened.store.listWorkloads({ limit: 2, before: 4 });
    const third = opened.store.listWorkloads({ limit: 2, before: 2 });

    expect([first, second, third].map((page) => page.map((record) => record.sequence))).toEqual([[5, 4], [3, 2], [1]]);
  });

  it.each([
    ['one workspace', { workspace: 'team-b' }, [5, 4, 3]],
    ['one phase', { phases: ['queued'] }, [5, 3, 2]],
    ['several phases', { phases: ['running', 'succeeded'] }, [4, 1]],
    ['all of these, below a sequence', { workspace: 'team-b', phases: ['queued', 'running'], before: 5 }, [4, 3]],
    ['a workspace that is not there', { workspace: 'team-c' }, []],
  ])('are listed of %s', (_what, filter, sequences) => {
    using opened = filled();

    expect(opened.store.listWorkloads({ ...filter, limit: 10 }).map((record) => record.sequence)).toEqual(sequences);
  });

  it.each([
    ['an id', 'wkl_00000002', undefined, 2],
    ['a name, and the newest has it', 'w2', undefined, 5],
    ['a name in a workspace', 'w2', 'default', 2],
    ['an id in its workspace', 'wkl_00000003', 'team-b', 3],
    ['an id, but not in another workspace', 'wkl_00000003', 'default', undefined],
    ['an ended one', 'w1', undefined, 1],
    ['nothing under an unknown name', 'w9', undefined, undefined],
  ])('are found by %s', (_what, nameOrId, within, sequence) => {
    using opened = filled();

    expect(opened.store.findWorkload(nameOrId, within)?.sequence).toBe(sequence);
  });
});

describe('idempotency keys', () => {
  const record = { key: 'key-1', fingerprint: 'f', workload: workload.id, atMs: 1000 };

  it('are found again, also by the next controller', () => {
    using opened = new OpenedStore();
    opened.store.commit(batch([put(workload)], { idempotency: [record] }));

    expect(opened.store.findIdempotency('key-1')).toEqual(record);
    expect(opened.reopen().findIdempotency('key-1')).toEqual(record);
    expect(opened.store.findIdempotency('key-2')).toBeUndefined();
  });

  it('are used once', () => {
    using opened = new OpenedStore();
    opened.store.commit(batch([], { idempotency: [record] }));

    expect(() => opened.store.commit(batch([put(workload)], { idempotency: [record] }))).toThrow(StoreUnavailable);

    expect(opened.store.load().workloads).toEqual([]);
  });
});
