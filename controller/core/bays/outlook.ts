import type { AskPart } from '../cluster/asked.ts';
import type { AskClass, Demand } from '../placement/demand.ts';
import { variantsOf } from './ask-variants.ts';
import type { Pools } from './pools.ts';

/** What a policy is made for. Only as exact as matters: it is made anew when this has changed enough. */
export interface Outlook {
  readonly demand: Demand;
  /** GPUs by pool. */
  readonly capacity: readonly number[];
  /** How much of them is free, in GPUs. */
  readonly free: readonly number[];
  /** 0 where next to nothing ends, 1 where at least half as much ends as is submitted; in quarters. */
  readonly turnover: number;
}

/** A pool whose part in all that is free has changed by so much is another one for those who cannot go elsewhere. */
const freeMovesAt = 0.05;
/** A demand of which so much has moved to other asks is another one: the policy is made anew. */
const demandMovesAt = 0.15;

/** What an outlook is made of, without numbers that only hold for a while. */
export interface Basis {
  readonly parts: readonly AskPart[];
  /** GPUs by the key of their pool. */
  readonly capacity: ReadonlyMap<string, number>;
  readonly free: ReadonlyMap<string, number>;
  readonly turnover: number;
  readonly pools: Pools;
  readonly isOfTrial: boolean;
}

/** Scores stay as they are while nothing has changed enough. */
export function isNews(before: Basis, now: Basis): boolean {
  if (before.isOfTrial || before.pools !== now.pools || before.turnover !== now.turnover) return true;
  if (movedBetween(before.parts, now.parts) > demandMovesAt) return true;
  // Where what is free lies is no matter where every ask could go everywhere.
  const isChoosy = now.parts.some(({ facts }) => facts.model !== undefined || facts.nodeLabels !== undefined);
  return isChoosy && farthest(before.free, now.free) > freeMovesAt;
}

function farthest(before: ReadonlyMap<string, number>, now: ReadonlyMap<string, number>): number {
  const sum = (amounts: ReadonlyMap<string, number>): number =>
    Math.max(
      1,
      [...amounts.values()].reduce((total, gpus) => total + gpus, 0),
    );
  const earlier = sum(before);
  const later = sum(now);
  return Math.max(0, ...[...now].map(([key, gpus]) => Math.abs(gpus / later - (before.get(key) ?? 0) / earlier)));
}

/** What was asked for lately. Before anything was, any one GPU is as likely as another. */
export function demandOf(parts: readonly AskPart[], pools: Pools): Demand {
  const classes: AskClass[] = [];
  const weights: number[] = [];
  for (const { facts, part } of parts) {
    for (const { ask } of variantsOf(facts, pools, false)) {
      if (ask.gpus === 0) continue;
      classes.push(ask);
      weights.push(part);
    }
  }
  return { classes, weights };
}

/** How much of all asks is for something else now, 0 to 1. */
function movedBetween(before: readonly AskPart[], now: readonly AskPart[]): number {
  const earlier = new Map(before.map(({ key, part }) => [key, part]));
  return now.reduce((sum, { key, part }) => sum + Math.max(0, part - (earlier.get(key) ?? 0)), 0);
}
