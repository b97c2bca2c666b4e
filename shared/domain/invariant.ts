/** Stops on a state the code believed impossible; not caught, the process ends and its supervisor restarts it. */
export function invariant(belief: boolean, what: string): asserts belief {
  if (!belief) throw new Error(`invariant broken: ${what}`);
}
