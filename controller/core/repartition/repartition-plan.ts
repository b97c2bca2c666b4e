// What a plan says: layouts to order, what they are for, and who moves. A value; nothing has changed yet.
import type { GpuUuid, NodeName } from '@astrago/shared/domain/ids';
import type { Layout } from '@astrago/shared/domain/mig/layout';
import type { WantedSlice } from '@astrago/shared/domain/mig/slice';

export interface LayoutChange {
  readonly gpu: GpuUuid;
  readonly node: NodeName;
  readonly before: Layout;
  readonly layout: Layout;
}

/** Devices on one node that one piece of the demand would get. */
export interface Claim {
  /** The id of its class. */
  readonly demand: string;
  readonly node: NodeName;
  readonly devices: readonly { readonly gpu: GpuUuid; readonly slice: WantedSlice | undefined }[];
}

/** All that move are stopped first, then the layouts are changed, then they start: places may be exchanged. */
export interface Move {
  readonly workload: string;
  readonly from: { readonly gpu: GpuUuid; readonly slice: WantedSlice };
  readonly to: { readonly gpu: GpuUuid; readonly slice: WantedSlice };
}

export interface RepartitionPlan {
  /** By GPU; none twice, none that stays as it is. */
  readonly changes: readonly LayoutChange[];
  readonly claims: readonly Claim[];
  readonly moves: readonly Move[];
}
