/** How rounds are had: by a loop in milliseconds or seconds, or by one command a period. */
export type Rung = 'loop-ms' | 'loop-s' | 'polls';

/** The switches of a rung, to be put after the question. */
export function loopSwitch(rung: Exclude<Rung, 'polls'>, periodMs: number): readonly string[] {
  return rung === 'loop-ms' ? ['-lms', String(Math.round(periodMs))] : ['-l', String(Math.max(1, Math.round(periodMs / 1000)))];
}

/** What this nvidia-smi has refused is not tried again. */
export class Ladder {
  readonly #rungs: readonly Rung[];
  readonly #refused = new Set<Rung>();

  constructor(periodMs: number) {
    this.#rungs = periodMs % 1000 === 0 ? ['loop-s', 'polls'] : ['loop-ms', 'loop-s', 'polls'];
  }

  get rung(): Rung {
    return this.#rungs.find((rung) => !this.#refused.has(rung)) ?? 'polls';
  }

  refuse(rung: Rung): void {
    this.#refused.add(rung);
  }

  /** It answers once whatever it is told. */
  refuseLoops(): void {
    for (const rung of this.#rungs) if (rung !== 'polls') this.#refused.add(rung);
  }
}

/** How nvidia-smi, or what stands in for it, says that it does not know a switch. */
const refusal =
  /is not recognized|Invalid combination of input arguments|missing its value|unrecognized|unknown (?:option|switch|argument)|not supported|usage:/i;

export function refusesSwitch(exitCode: number | undefined, text: string): boolean {
  return refusal.test(text) || (exitCode === 2 && !/is not a valid field/i.test(text));
}
