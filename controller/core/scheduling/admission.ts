import { addUnits, type SliceUnits } from '@astrago/shared/domain/units';
import type { AskVariant } from '../bays/ask-variants.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { WorkspaceRecord } from '../cluster/records.ts';
import type { Obstacle } from './decision.ts';
import type { Ask } from './scheduler.ts';

export type Admission =
  | { readonly kind: 'guaranteed' }
  | { readonly kind: 'borrowing' }
  | { readonly kind: 'refused'; readonly obstacle: Obstacle };

/** Whether the quotas let a workspace take this much more. */
export function admit(cluster: Cluster, { workspace, ask }: Ask, { units }: AskVariant): Admission {
  const limit = cluster.workspaces.get(workspace)?.limit;
  if (limit === undefined || ask.kind === 'none') return { kind: 'guaranteed' };
  if (exceeds(addUnits(cluster.usedBy(workspace), units), limit)) return { kind: 'refused', obstacle: 'limit' };
  return { kind: 'guaranteed' };
}

function exceeds(units: SliceUnits, limit: WorkspaceRecord['limit']): boolean {
  return (limit.compute !== undefined && units.compute > limit.compute) || (limit.memory !== undefined && units.memory > limit.memory);
}
