/**
 * What a parser of printed text returns. `unreadable` is a value, because a driver that prints something new
 * is expected; who asked decides what that means. A parser never guesses at the part it could not read.
 */
export type Parsed<T> = { readonly kind: 'parsed'; readonly value: T } | Unreadable;

export interface Unreadable {
  readonly kind: 'unreadable';
  /** What was expected and not found. */
  readonly reason: string;
  /** The line that stopped the parser, shortened; empty when the text ended too early. */
  readonly line: string;
}

const lineMax = 200;

export function parsed<T>(value: T): Parsed<T> {
  return { kind: 'parsed', value };
}

export function unreadable(reason: string, line = ''): Unreadable {
  return { kind: 'unreadable', reason, line: line.trim().slice(0, lineMax) };
}

export function linesOf(text: string): readonly string[] {
  return text.split(/\r?\n/);
}
