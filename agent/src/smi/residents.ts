/** A long-running nvidia-smi of ours. */
export interface Resident {
  /** Settles once its process is gone, or has been given up; never rejects, and always settles within a limit. */
  pause(): Promise<void>;
  resume(): void;
}

/**
 * Any nvidia-smi opens every GPU and is then a client of each: a change of the MIG mode becomes a pending one, a reset
 * is refused. What runs for long therefore steps aside for as long as such a change takes.
 */
export class Residents {
  readonly #all = new Set<Resident>();
  #aside = 0;

  /** Until the returned function is called. */
  add(resident: Resident): () => void {
    this.#all.add(resident);
    for (let at = 0; at < this.#aside; at += 1) void resident.pause();
    return () => {
      this.#all.delete(resident);
    };
  }

  /** All of them are gone when this settles; the returned function, called once, lets them come back. */
  async stepAside(): Promise<() => void> {
    this.#aside += 1;
    await Promise.all([...this.#all].map((resident) => resident.pause()));
    return () => {
      this.#aside -= 1;
      for (const resident of this.#all) resident.resume();
    };
  }
}
