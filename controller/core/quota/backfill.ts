/** What the head of a queue waits for: when it starts at the latest, if ends come as known or estimated, and what is over then. */
export interface Reservation {
  readonly atMs: number;
  /** Units that the head leaves free at its start: others may hold them beyond it. */
  readonly spare: number;
}

/** Free units over time: now, and what each end brings. An end whose time is not known is Infinity. */
export interface FreeOverTime {
  readonly nowMs: number;
  readonly free: number;
  readonly ends: Iterable<{ readonly atMs: number; readonly units: number }>;
}

/** EASY backfill: only the head is reserved for. Absent when even all ends together do not make room. */
export function reserve(over: FreeOverTime, units: number): Reservation | undefined {
  let free = over.free;
  if (free >= units) return { atMs: over.nowMs, spare: free - units };
  for (const end of [...over.ends].sort((a, b) => a.atMs - b.atMs)) {
    free += end.units;
    if (free >= units) return { atMs: Math.max(over.nowMs, end.atMs), spare: free - units };
  }
  return undefined;
}

/** Whether other work may start now without moving the reservation: it ends before, or takes only what is over. */
export function mayBackfill(reservation: Reservation, units: number, endsAtMs: number): boolean {
  return endsAtMs <= reservation.atMs || units <= reservation.spare;
}
