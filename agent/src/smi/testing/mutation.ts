// Ways in which a text can be damaged on its way, or be printed by a driver that nobody has seen yet.
import fc from 'fast-check';

const kinds = [
  'cut',
  'cut-front',
  'drop',
  'double',
  'flip',
  'insert',
  'drop-line',
  'double-line',
  'swap-lines',
  'token',
  'splice',
  'line-ends',
] as const;

export interface Mutation {
  readonly what: (typeof kinds)[number];
  /** Where, as a share of the text. */
  readonly at: number;
  readonly length: number;
  readonly with: string;
}

/** What drivers print where a number was, or might. */
export const tokens: readonly string[] = [
  '[N/A]',
  'N/A',
  '',
  '[Unknown Error]',
  'Unknown Error',
  'ERR!',
  'GPU is lost',
  '[GPU is lost]',
  '[Insufficient Permissions]',
  '[Not Supported]',
  '[Function Not Found]',
  '[Requested functionality has been deprecated]',
  'nan',
  '-nan',
  'inf',
  '1e400',
  '-1',
  '0x10',
  '4294967295',
  '18446744073709551615',
  '9'.repeat(400),
  '12 GB',
  '1,5',
];

const scraps: readonly string[] = [
  '\0',
  '\r\n',
  '\r',
  '|',
  '+-+',
  '{',
  ',',
  '-',
  '<',
  '>',
  '&',
  '"',
  '\u2028',
  '\uFFFD',
  '__proto__',
  '</gpu>',
  '<gpu>',
  ...tokens,
];

export const mutation: fc.Arbitrary<Mutation> = fc.record({
  what: fc.constantFrom(...kinds),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.integer({ min: 1, max: 12 }),
  with: fc.oneof(fc.string({ maxLength: 6 }), fc.constantFrom(...scraps)),
});

/** `other` is a second text, of which a piece may be taken. */
export function mutated(text: string, how: Mutation, other: string): string {
  const at = Math.floor(how.at * text.length);
  switch (how.what) {
    case 'cut':
      return text.slice(0, at);
    case 'cut-front':
      return text.slice(at);
    case 'drop':
      return text.slice(0, at) + text.slice(at + how.length);
    case 'double':
      return text.slice(0, at + how.length) + text.slice(at);
    case 'flip':
      return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << (how.length % 8))) + text.slice(at + 1);
    case 'insert':
      return text.slice(0, at) + how.with + text.slice(at);
    case 'token': {
      // The next number from there on.
      const found = /-?\d+(?:\.\d+)?/g;
      found.lastIndex = at;
      const match = found.exec(text);
      return match === null ? text : text.slice(0, match.index) + how.with + text.slice(match.index + match[0].length);
    }
    case 'splice': {
      const from = Math.floor(((how.at * 7919) % 1) * other.length);
      return text.slice(0, at) + other.slice(from, from + how.length * 40) + text.slice(at);
    }
    case 'line-ends':
      return text.replaceAll('\n', '\r\n');
    case 'drop-line':
    case 'double-line':
    case 'swap-lines':
      return byLines(text, how);
    default:
      return how.what satisfies never;
  }
}

function byLines(text: string, how: Mutation): string {
  const lines = text.split('\n');
  const row = Math.min(Math.floor(how.at * lines.length), lines.length - 1);
  const line = lines[row] ?? '';
  if (how.what === 'drop-line') return lines.toSpliced(row, (how.length % 3) + 1).join('\n');
  if (how.what === 'double-line') return lines.toSpliced(row, 0, line).join('\n');
  return lines
    .with(row, lines[0] ?? '')
    .with(0, line)
    .join('\n');
}
