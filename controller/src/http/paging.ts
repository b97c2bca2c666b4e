import { phases } from '@astrago/api';
import { hasEnded } from '#core/cluster/records';
import { Refusal } from '../app/refusal.ts';

/** A cursor is opaque to callers; it names the last row they saw. */
export function encodeCursor(sequence: number): string {
  return Buffer.from(`w${sequence}`).toString('base64url');
}

export function decodeCursor(cursor: string | undefined): number | undefined {
  if (cursor === undefined) return undefined;
  const match = /^w(\d{1,15})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1'));
  if (match?.[1] === undefined) throw new Refusal('invalid-request', 'the cursor is not one of ours; start again without it');
  return Number(match[1]);
}

export function phasesOf(filter: string | undefined): readonly string[] | undefined {
  if (filter === undefined) return undefined;
  if (filter === 'live') return phases.filter((phase) => !hasEnded(phase));
  return filter === 'ended' ? phases.filter((phase) => hasEnded(phase)) : [filter];
}
