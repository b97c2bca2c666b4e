/**
 * The first few of the candidates that are enough together, without those that are not needed among them. Finds a
 * prefix by doubling and halving, so that the number of tries follows the size of the answer.
 *
 * @param isEnough more candidates never make it false.
 * @returns `undefined` where not even all are enough.
 */
export function smallestSet<T>(candidates: readonly T[], isEnough: (some: readonly T[]) => boolean): readonly T[] | undefined {
  const prefix = shortestPrefix(candidates, isEnough);
  return prefix === undefined ? undefined : withoutUnneeded(prefix, isEnough);
}

export function shortestPrefix<T>(candidates: readonly T[], isEnough: (some: readonly T[]) => boolean): readonly T[] | undefined {
  if (candidates.length === 0) return undefined;
  let tooFew = 0;
  let enough = 1;
  while (!isEnough(candidates.slice(0, enough))) {
    if (enough >= candidates.length) return undefined;
    tooFew = enough;
    enough = Math.min(candidates.length, enough * 2);
  }
  while (enough - tooFew > 1) {
    const middle = (tooFew + enough) >> 1;
    if (isEnough(candidates.slice(0, middle))) enough = middle;
    else tooFew = middle;
  }
  return candidates.slice(0, enough);
}

/** Sets larger than this are told as they are: dropping one by one would cost too much. */
const droppedFromMax = 32;

/** Drops whoever is not needed, the last first; the last of a shortest prefix always is. */
function withoutUnneeded<T>(prefix: readonly T[], isEnough: (some: readonly T[]) => boolean): readonly T[] {
  if (prefix.length > droppedFromMax) return prefix;
  let set = prefix;
  for (const one of prefix.toReversed().slice(1)) {
    const rest = set.filter((other) => other !== one);
    if (isEnough(rest)) set = rest;
  }
  return set;
}
