// Which profiles are asked for, learnt from who asks. Older asks count for less.
import type { ProfileName } from '@astrago/shared/domain/mig/profile';
import type { LayoutCatalogue } from './layout-catalogue.ts';

export interface MixSetting {
  /** Asks after which one counts for 1 / e of a new one. */
  readonly memory: number;
  /** Asks, old ones counted for what they still are, from which on the mix is known. */
  readonly knownFrom: number;
  /** Share of asks that would have to be others for two mixes to count as different. */
  readonly drift: number;
}

export const mixDefaults: MixSetting = { memory: 4000, knownFrom: 500, drift: 0.1 };

/** Weights of profiles; they add up to 1. */
export type Mix = ReadonlyMap<ProfileName, number>;

/** The mix by kind of the catalogue, as a rule is chosen by; profiles that the device does not list are left out. */
export function weightsByKind(catalogue: LayoutCatalogue, mix: Mix): readonly number[] {
  const weights = catalogue.sets.kinds.map(() => 0);
  for (const [profile, weight] of mix) {
    const kind = catalogue.kindOf(profile);
    if (kind !== undefined) weights[kind] = (weights[kind] ?? 0) + weight;
  }
  return weights;
}

export class MixEstimate {
  readonly #setting: MixSetting;
  readonly #weights = new Map<ProfileName, number>();
  /** Of the next ask. Grows instead of all others shrinking. */
  #weight = 1;
  #total = 0;

  constructor(setting: MixSetting = mixDefaults) {
    this.#setting = setting;
  }

  asked(profile: ProfileName): void {
    this.#weights.set(profile, (this.#weights.get(profile) ?? 0) + this.#weight);
    this.#total += this.#weight;
    this.#weight *= Math.exp(1 / this.#setting.memory);
    if (this.#weight < 1e100) return;
    for (const [name, weight] of this.#weights) this.#weights.set(name, weight / this.#weight);
    this.#total /= this.#weight;
    this.#weight = 1;
  }

  /** `undefined` until enough was asked. */
  mix(): Mix | undefined {
    if (this.#total / this.#weight < this.#setting.knownFrom) return undefined;
    return new Map([...this.#weights].map(([name, weight]) => [name, weight / this.#total]));
  }

  /** Whether the mix is known, and is another one than `earlier` by more than chance and the allowance explain. */
  hasDriftedFrom(earlier: Mix): boolean {
    const now = this.mix();
    if (now === undefined) return false;
    let apart = 0;
    let noise = 0;
    for (const name of new Set([...now.keys(), ...earlier.keys()])) {
      const [p, q] = [now.get(name) ?? 0, earlier.get(name) ?? 0];
      apart += Math.abs(p - q) / 2;
      // Both were estimated; decayed sums are worth up to twice their weight in asks, so this errs towards staying.
      noise += Math.sqrt(p * (1 - p) + q * (1 - q)) / 2;
    }
    return apart > this.#setting.drift + noise / Math.sqrt(Math.min(this.#total / this.#weight, this.#setting.memory));
  }
}
