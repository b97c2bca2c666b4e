import type { Framed, Framer } from './framer.ts';

const begin = /<\?xml\b|<nvidia_smi_log\b/;
/** On a line of its own: in one with others it may be part of the name that somebody gave a process. */
const end = /^[ \t]*<\/nvidia_smi_log>[ \t]*\r?$/gm;
const endTag = '</nvidia_smi_log>';
const anotherBegin = /^<\?xml\b/gm;
const noiseMax = 200;

/** The documents that `-q -x` prints in loop mode, one after the other. */
export class Documents implements Framer<string> {
  #text = '';
  /** Up to here there is no end. */
  #searched = 0;
  readonly #lengthMax: number;

  constructor(lengthMax = 16 * 1024 * 1024) {
    this.#lengthMax = lengthMax;
  }

  get open(): boolean {
    return this.#text.trimEnd().endsWith(endTag);
  }

  push(text: string): readonly Framed<string>[] {
    this.#text += text;
    const found: Framed<string>[] = [];
    for (;;) {
      end.lastIndex = this.#searched;
      const match = end.exec(this.#text);
      // The line might go on in the next chunk.
      if (match === null || end.lastIndex === this.#text.length) break;
      found.push(...this.#cut(end.lastIndex));
    }
    this.#searched = Math.max(0, this.#text.lastIndexOf('\n') + 1);
    if (this.#text.length > this.#lengthMax) {
      found.push({ kind: 'noise', text: `a log longer than ${this.#lengthMax} characters` });
      this.#text = '';
      this.#searched = 0;
    }
    return found;
  }

  flush(): readonly Framed<string>[] {
    return this.open ? this.#cut(this.#text.length) : [];
  }

  end(): readonly Framed<string>[] {
    const last = this.flush();
    return [...last, ...noise(this.#text)];
  }

  /** The text up to `at`: what precedes the document, and the last one that begins there. */
  #cut(at: number): readonly Framed<string>[] {
    const whole = this.#text.slice(0, at);
    this.#text = this.#text.slice(at);
    this.#searched = 0;
    const start = begin.exec(whole)?.index;
    if (start === undefined) return noise(whole);
    // One that was broken off is followed by the next.
    const last = [...whole.slice(start + 1).matchAll(anotherBegin)].at(-1);
    const from = last === undefined ? start : start + 1 + last.index;
    return [...noise(whole.slice(0, from)), { kind: 'round', round: whole.slice(from) }];
  }
}

function noise(text: string): readonly Framed<string>[] {
  const trimmed = text.trim();
  return trimmed === '' ? [] : [{ kind: 'noise', text: trimmed.slice(0, noiseMax) }];
}
