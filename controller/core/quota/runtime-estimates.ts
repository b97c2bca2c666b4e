// What the run time of work may be where nobody has declared it: learned from work that has ended.

const samplesKept = 64;
/** Of one workspace and size; below, the size everywhere and then everything stand in. */
const samplesNeeded = 8;

/** Run times of ended work by workspace and size class, the latest ones. */
export class RuntimeEstimates {
  readonly #samples = new Map<string, { readonly runtimes: number[]; next: number }>();

  ended(workspace: string, size: number, runtimeMs: number): void {
    for (const key of [`${workspace}/${size}`, `*/${size}`, '*']) {
      const kept = this.#samples.get(key) ?? { runtimes: [], next: 0 };
      kept.runtimes[kept.next] = runtimeMs;
      kept.next = (kept.next + 1) % samplesKept;
      this.#samples.set(key, kept);
    }
  }

  /**
   * How long work that has run for `elapsedMs` still runs: the `quantile` (0 to 1) of what those ran on who ran as long.
   * Longer than all seen, it is taken to run as long again. Absent before anything has ended.
   */
  remainingMs(workspace: string, size: number, elapsedMs: number, quantile: number): number | undefined {
    for (const key of [`${workspace}/${size}`, `*/${size}`, '*']) {
      const kept = this.#samples.get(key);
      if (kept === undefined || (key !== '*' && kept.runtimes.length < samplesNeeded)) continue;
      const longer = kept.runtimes.filter((runtime) => runtime > elapsedMs).sort((a, b) => a - b);
      const at = longer[Math.min(longer.length - 1, Math.floor(quantile * longer.length))];
      return at === undefined ? elapsedMs : at - elapsedMs;
    }
    return undefined;
  }
}
