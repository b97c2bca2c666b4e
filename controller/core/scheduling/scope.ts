import type { Bay } from '../bays/bay.ts';

/** Where an ask may go. Scopes of one name name the same bays throughout a round, so that "no room" is found once. */
export interface Scope {
  /** Absent where it is of this one look only. */
  readonly name: string | undefined;
  readonly accepts: (bay: Bay) => boolean;
}

/** Both; either may be absent, which is everywhere. */
export function within(one: Scope | undefined, other: Scope | undefined): Scope | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return { name: undefined, accepts: (bay) => one.accepts(bay) && other.accepts(bay) };
}
