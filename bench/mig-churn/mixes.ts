import { seededRandom } from '@astrago/controller/core/cluster/sample-random';
import type { WindowSets } from '@astrago/controller/core/mig/window-sets';

/** Weights of the kinds, from small to large; for devices with six kinds and with three. */
const named: Readonly<Record<string, Readonly<Record<number, readonly number[]>>>> = {
  uniform: { 6: [1, 1, 1, 1, 1, 1], 3: [1, 1, 1] },
  skewSmall: { 6: [0.3, 0.25, 0.2, 0.1, 0.1, 0.05], 3: [0.5, 0.3, 0.2] },
  skewBig: { 6: [0.05, 0.1, 0.1, 0.2, 0.25, 0.3], 3: [0.2, 0.3, 0.5] },
  bimodal: { 6: [0.3, 0.15, 0.05, 0.05, 0.15, 0.3], 3: [0.45, 0.1, 0.45] },
};

export const mixNames = Object.keys(named);

export interface NamedMix {
  readonly name: string;
  /** By kind. */
  readonly weights: readonly number[];
}

/** A name, or `random:N` for N of them, every mix as likely as any other; always the same N. */
export function mixesOf(text: string, sets: WindowSets): readonly NamedMix[] {
  const count = /^random:(\d+)$/.exec(text)?.[1];
  if (count !== undefined)
    return Array.from({ length: Number(count) }, (_, at) => {
      const random = seededRandom(7_000_000 + at);
      return { name: `random-${at + 1}`, weights: sets.kinds.map(() => -Math.log(1 - random())) };
    });
  const weights = named[text]?.[sets.kinds.length];
  if (weights === undefined)
    throw new Error(`there is no mix ${text} for ${sets.kinds.length} kinds; there are random:N, ${mixNames.join(', ')}`);
  return [{ name: text, weights }];
}
