import type { NodeName, ReservationName, WorkspaceName } from '@astrago/shared/domain/ids';
import { describe, expect, it } from 'vitest';
import type { Cluster } from '../cluster/cluster.ts';
import { h100, sampleCluster, sampleWorkload, whole } from '../cluster/sample-cluster.ts';
import { explain } from './explain.ts';

const at = (text: string): number => Date.parse(`${text}:00Z`);
const now = at('2026-12-01T12:00');
const waiting = sampleWorkload(1, whole(1));

function reserve(cluster: Cluster, name: string, nodes: readonly string[], from: string, until: string, workspace = 'team'): void {
  cluster.apply({
    kind: 'reservation',
    record: {
      name: name as ReservationName,
      workspace: workspace as WorkspaceName,
      nodes: nodes as readonly NodeName[],
      fromMs: at(from),
      untilMs: at(until),
    },
  });
}

function why(...reservations: readonly (readonly [name: string, nodes: readonly string[], from: string, until: string])[]) {
  const cluster = sampleCluster([
    { name: 'a', gpus: [h100] },
    { name: 'b', gpus: [] },
  ]);
  cluster.apply({ kind: 'workspace', record: { name: 'team' as WorkspaceName, limit: { compute: undefined, memory: undefined } } });
  for (const one of reservations) reserve(cluster, ...one);
  cluster.apply({ kind: 'workload', record: waiting });
  cluster.keep();
  return explain(cluster, waiting.id, now);
}

describe('why of work that waits for a reservation of others', () => {
  it('names it, and until when it lasts', () => {
    const answer = why(
      ['elsewhere', ['b'], '2026-12-01T10:00', '2026-12-01T13:00'],
      ['demo', ['a'], '2026-12-01T10:00', '2026-12-02T18:30'],
    );

    const text = 'there is room, and it is kept for workspace team by reservation demo until 2026-12-02 18:30 UTC';
    expect(answer?.sentence).toContain(`w1 waits for 1 whole GPU: ${text}. `);
    expect(answer?.counts).toEqual([{ reason: 'RoomIsKept', count: 1, text }]);
  });

  it('says from when where it has not begun, and what may go there before', () => {
    expect(why(['demo', ['a'], '2026-12-01T14:00', '2026-12-01T18:00'])?.sentence).toContain(
      'kept for workspace team by reservation demo from 2026-12-01 14:00 UTC until 2026-12-01 18:00 UTC, before which only work goes there that is expected to have ended.',
    );
  });

  it('names all that have to be over', () => {
    const { sentence } =
      why(['late', ['a'], '2026-12-01T14:00', '2026-12-01T18:00'], ['early', ['a'], '2026-12-01T11:00', '2026-12-01T14:00']) ??
      expect.unreachable();

    expect(sentence).toContain('by reservation early until 2026-12-01 14:00 UTC and for workspace team by reservation late from');
  });
});
