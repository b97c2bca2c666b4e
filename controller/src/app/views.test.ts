import type { NodeName } from '@astrago/shared/domain/ids';
import { expect, it } from 'vitest';
import { Cluster } from '#core/cluster/cluster';
import { h100, observedNode } from '#core/cluster/sample-cluster';
import { gpuView, nodeView } from './views.ts';

it('a condition is shown with its severity, what brings the device back, and whether work stays away', () => {
  const cluster = new Cluster();
  const bare = observedNode({ name: 'a', gpus: [h100] });
  const conditions = [{ kind: 'row-remap-pending' as const, detail: 'a row', sinceMs: 5 }];
  const gpus = bare.gpus.map((gpu) => ({ ...gpu, conditions }));
  const ofNode = [{ kind: 'disk-full' as const, detail: 'no room', sinceMs: 6 }];
  const node = { ...bare, gpus, conditions: ofNode, state: 'unreachable' as const, stateDetail: 'it was not heard' };
  cluster.apply({ kind: 'observed-node', node });

  expect(gpuView(cluster, gpus[0] ?? expect.unreachable(), undefined).conditions).toEqual([
    { kind: 'row-remap-pending', detail: 'a row', sinceMs: 5, severity: 'warning', action: 'reset', keepsWorkAway: false },
  ]);
  expect(nodeView(cluster, cluster.observed.get('a' as NodeName) ?? expect.unreachable(), 1)).toMatchObject({
    stateDetail: 'it was not heard',
    conditions: [{ kind: 'disk-full', detail: 'no room', sinceMs: 6, severity: 'critical', action: 'none', keepsWorkAway: true }],
  });
});
