// What would fare otherwise, as a value.
import type { WorkloadId, WorkloadName, WorkspaceName } from '@astrago/shared/domain/ids';
import type { Eviction } from '../cluster/records.ts';
import type { Obstacle } from '../scheduling/decision.ts';
import type { OverCommitment } from './over-commitment.ts';

/** No more than fifty by name. */
export interface Told<T> {
  readonly count: number;
  readonly items: readonly T[];
}

export interface NamedWork {
  readonly id: WorkloadId;
  readonly name: WorkloadName;
  readonly workspace: WorkspaceName;
}

export interface Stopped extends NamedWork {
  readonly cause: Eviction['cause'];
  readonly beneficiary: NamedWork;
  /** Not at once: when what is stopped before has ended. */
  readonly afterStops: boolean;
  /** It would start again, elsewhere or later, as far as is looked ahead. */
  readonly startsAgain: boolean;
}

export interface Started extends NamedWork {
  readonly borrowed: boolean;
  /** Not at once: when what is stopped has ended. */
  readonly afterStops: boolean;
}

export interface HeldBack extends NamedWork {
  readonly obstacle: Obstacle;
}

export interface WaitsOtherwise extends NamedWork {
  readonly before: Obstacle;
  readonly after: Obstacle;
}

/**
 * What the next looks would do otherwise than they would without the change. What would be so either way is in none of
 * the lists.
 */
export interface Preview {
  readonly sentence: string;
  readonly stopped: Told<Stopped>;
  /** It would have been stopped without the change. */
  readonly spared: Told<NamedWork>;
  readonly started: Told<Started>;
  /** It would have started without the change. */
  readonly heldBack: Told<HeldBack>;
  /** It runs on, beyond the guarantee of its workspace, and gives way when another asks for its own. */
  readonly borrowed: Told<NamedWork>;
  /** It runs on, and is its workspace's own; without the change it would be borrowed. */
  readonly owned: Told<NamedWork>;
  /** It waits either way. */
  readonly waitsOtherwise: Told<WaitsOtherwise>;
  /** Only what the change brings about, or makes worse. */
  readonly overCommitted: Told<OverCommitment>;
  /** Still more would be stopped or started after all that was looked at. */
  readonly goesOn: boolean;
}
