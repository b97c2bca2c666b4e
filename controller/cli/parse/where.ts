// Where work should go, and what nodes are called for it.

export interface LevelWish {
  readonly level: string;
  readonly required: boolean;
}

/** `rack`, `rack:required` or `rack:preferred`. */
export function parseLevel(text: string): LevelWish | undefined {
  const match = /^([^:\s]+)(?::(required|preferred))?$/.exec(text);
  return match === null ? undefined : { level: match[1] as string, required: match[2] !== 'preferred' };
}

/** `rack=r1`. */
export function parseLabel(text: string): readonly [key: string, value: string] | undefined {
  const match = /^([^=\s]+)=([^=\s]+)$/.exec(text);
  return match === null ? undefined : [match[1] as string, match[2] as string];
}

export interface LabelChanges {
  readonly set: Readonly<Record<string, string>>;
  readonly remove: readonly string[];
}

/** Each is `KEY=VALUE` to set or `KEY-` to remove; the first that is neither is the answer instead. */
export function parseLabelChanges(words: readonly string[]): LabelChanges | string {
  const set: Record<string, string> = {};
  const remove: string[] = [];
  for (const word of words) {
    const label = parseLabel(word);
    if (label !== undefined) set[label[0]] = label[1];
    else if (isRemoval(word)) remove.push(word.slice(0, -1));
    else return word;
  }
  return { set, remove };
}

export interface TaintChanges {
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

/** Each is `KEY` or `KEY=VALUE` to add, or `KEY-` to remove; the first that is neither is the answer instead. */
export function parseTaintChanges(words: readonly string[]): TaintChanges | string {
  const odd = words.find((word) => !/^[^=\s]+(=[^=\s]+)?$/.test(word));
  if (odd !== undefined) return odd;
  return { add: words.filter((word) => !isRemoval(word)), remove: words.filter(isRemoval).map((word) => word.slice(0, -1)) };
}

function isRemoval(word: string): boolean {
  return /^[^=\s]+-$/.test(word);
}
