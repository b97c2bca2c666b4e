// One piece of the demand after the other, each where it costs least.
import { sameLayout } from '@astrago/shared/domain/mig/layout';
import type { DemandClass } from './demand.ts';
import { makeRoom, type Search } from './make-room.ts';
import type { Pool } from './pool.ts';
import type { Claim, LayoutChange, RepartitionPlan } from './repartition-plan.ts';
import { type Seating, seatingOf } from './seating.ts';

/** Idle slices as they are serve first; what is left over is cut, the worthiest piece first. Nobody moves. */
export function planGreedily(pool: Pool, demand: readonly DemandClass[]): RepartitionPlan {
  let seating = seatingOf(pool);
  const claims: Claim[] = [];
  const left = new Map(demand.map((piece) => [piece, piece.count]));
  const memory: Search['memory'] = new Map();
  for (const onlyReady of [true, false]) {
    for (const [piece, count] of left) {
      for (let open = count; open > 0; open -= 1) {
        const room = makeRoom(seating, piece, 0, { looks: Number.POSITIVE_INFINITY, memory, onlyReady });
        if (room === undefined) break;
        claims.push(room.claim);
        seating = room.seating;
        left.set(piece, open - 1);
      }
    }
  }
  return { changes: changesIn(seating), claims, moves: [] };
}

export function changesIn(seating: Seating): readonly LayoutChange[] {
  return [...seating.rows.values()].flatMap(({ gpu, layout }): readonly LayoutChange[] =>
    sameLayout(gpu.layout, layout) ? [] : [{ gpu: gpu.uuid, node: gpu.node, before: gpu.layout, layout }],
  );
}
