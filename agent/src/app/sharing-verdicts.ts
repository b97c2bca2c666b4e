import type { Failure } from '#core/allocation-step';

export interface SharingVerdict {
  readonly failure: Failure;
  readonly detail: string;
}

/** Which allocations have been told that they cannot have a shared device: they never come back to life. And who is new. */
export class SharingVerdicts {
  readonly #failed = new Map<string, SharingVerdict>();
  readonly #greeted = new Set<string>();

  of(id: string): SharingVerdict | undefined {
    return this.#failed.get(id);
  }

  fail(ids: readonly string[], verdict: SharingVerdict): void {
    for (const id of ids) this.#failed.set(id, verdict);
  }

  /** Those who still wait. */
  living<T extends { readonly id: string }>(waiting: readonly T[]): readonly T[] {
    return waiting.filter(({ id }) => !this.#failed.has(id));
  }

  /** Whether somebody is there who was not there the last time. */
  greet(ids: readonly string[]): boolean {
    const present = new Set(ids);
    for (const id of [...this.#greeted]) if (!present.has(id)) this.#greeted.delete(id);
    const newcomers = [...present].filter((id) => !this.#greeted.has(id));
    for (const id of newcomers) this.#greeted.add(id);
    return newcomers.length > 0;
  }

  /** Drops what was remembered of allocations that no order names any more. */
  forget(isNamed: (id: string) => boolean): void {
    for (const id of [...this.#failed.keys()]) if (!isNamed(id)) this.#failed.delete(id);
  }
}
