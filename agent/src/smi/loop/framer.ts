/** Cuts what a long-running nvidia-smi prints into rounds. Keeps a bounded amount of text. */
export interface Framer<Round> {
  push(text: string): readonly Framed<Round>[];
  /** Nothing more has come for a while, or will: what is open counts as complete, unless it is in the middle of a line. */
  flush(): readonly Framed<Round>[];
  /** As {@link flush} when the program has ended: its last line counts too. */
  end(): readonly Framed<Round>[];
  /** Whether something waits for {@link flush}. */
  readonly open: boolean;
}

/** `noise` is a message of the program, or what could not be read. */
export type Framed<Round> = { readonly kind: 'round'; readonly round: Round } | { readonly kind: 'noise'; readonly text: string };

/** Lines of a stream, without their ends; one that is too long is left out. */
export class LineCutter {
  #rest = '';
  #skipping = false;
  readonly #lengthMax: number;

  constructor(lengthMax = 65_536) {
    this.#lengthMax = lengthMax;
  }

  push(text: string): readonly string[] {
    const parts = text.split('\n');
    const lines: string[] = [];
    for (const [at, part] of parts.entries()) {
      if (!this.#skipping) this.#rest += part;
      if (this.#rest.length > this.#lengthMax) {
        this.#rest = '';
        this.#skipping = true;
      }
      if (at === parts.length - 1) break;
      if (!this.#skipping) lines.push(this.#rest.endsWith('\r') ? this.#rest.slice(0, -1) : this.#rest);
      this.#rest = '';
      this.#skipping = false;
    }
    return lines;
  }

  /** The line that has not ended. */
  end(): string {
    const rest = this.#skipping ? '' : this.#rest;
    this.#rest = '';
    this.#skipping = false;
    return rest.endsWith('\r') ? rest.slice(0, -1) : rest;
  }
}
