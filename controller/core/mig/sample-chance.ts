/** Numbers from 0 to 1 for tests, the same for the same seed: a linear congruence, its high bits. */
export function seededChance(seed: number): () => number {
  let state = (seed * 2_654_435_761) >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const high = state >>> 16;
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (high * 65_536 + (state >>> 16)) / 2 ** 32;
  };
}
