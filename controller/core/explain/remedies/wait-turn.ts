import type { Candidate } from '../remedy.ts';
import type { Changes, Trial } from '../trial.ts';
import { counted } from '../words.ts';

/** There is room, and others get it first: it would start if nobody stood before it. */
export function waitTurn({ cluster, members }: Trial): readonly Candidate[] {
  const own = new Set(members.map(({ id }) => id));
  const queue = cluster.queue();
  const before = queue.slice(
    0,
    queue.findIndex(({ id }) => own.has(id)),
  );
  if (before.length === 0) return [];
  const changes: Changes = before.map((record) => ({ kind: 'workload', record: { ...record, phase: 'cancelled' } }));
  return [
    {
      remedy: { kind: 'wait-turn', before: before.length, text: `will fit at its turn: ${counted(before.length, 'workload')} before it` },
      changes,
    },
  ];
}
