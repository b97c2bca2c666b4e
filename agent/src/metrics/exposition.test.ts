import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Exposition, type Family } from './exposition.ts';

const family: Family<'a' | 'b'> = { name: 'm', type: 'gauge', help: 'Back\\slash', labels: ['a', 'b'] };
const other: Family = { name: 'n', type: 'counter', help: 'Other', labels: [] };

/** As a scraper takes a label value apart. */
function unescaped(text: string): string {
  return text.replaceAll(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped));
}

describe('the exposition', () => {
  it('keeps a family together below one help and one type, whatever the order of adding', () => {
    const out = new Exposition();
    out.add(family, { a: '1' }, 1);
    out.add(other, {}, 2);
    out.add(family, { a: '2', b: 'x' }, 0.5);

    expect(out.text()).toBe(
      '# HELP m Back\\\\slash.\n# TYPE m gauge\nm{a="1"} 1\nm{a="2",b="x"} 0.5\n# HELP n Other.\n# TYPE n counter\nn 2\n',
    );
  });

  it('has no family without series, and no series without a value', () => {
    const out = new Exposition();
    for (const value of [undefined, Number.NaN, Number.POSITIVE_INFINITY]) out.add(family, { a: '1' }, value);

    expect(out.text()).toBe('');
  });

  it('has no label without a value and no series twice', () => {
    const out = new Exposition();
    out.add(family, { a: '', b: undefined }, 1);
    out.add(family, {}, 2);

    expect(out.text().split('\n').slice(2)).toEqual(['m 1', '']);
  });

  it('keeps any label value on one line, and whole', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('"', '\\', '\n', 'n', '}', ',', '=', 'ä'), minLength: 1 }), (value) => {
        const out = new Exposition();
        out.add(family, { a: value }, 1);
        const [, , line = '', ...rest] = out.text().split('\n');

        expect(rest).toEqual(['']);
        expect(unescaped(/^m\{a="(.*)"\} 1$/s.exec(line)?.[1] ?? expect.unreachable())).toBe(value);
      }),
    );
  });
});
