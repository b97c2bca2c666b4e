import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { claimDirectory } from '@astrago/shared/runtime/directory-claim';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Scratch } from '../testing/scratch.ts';
import { standaloneDirectory } from './standalone-directory.ts';

let scratch: Scratch;
beforeEach(() => {
  scratch = new Scratch();
});
afterEach(() => scratch[Symbol.asyncDispose]());

describe('the directory of an agent that stands alone', () => {
  it('is its own, and goes with it', async () => {
    const one = await standaloneDirectory(Date.now(), scratch.directory);
    const other = await standaloneDirectory(Date.now(), scratch.directory);
    expect(one.path).not.toBe(other.path);
    writeFileSync(`${one.path}/file`, '');

    await one[Symbol.asyncDispose]();
    expect(readdirSync(scratch.directory)).toEqual([other.path.slice(scratch.directory.length + 1)]);
    await other[Symbol.asyncDispose]();
  });

  it('of one that was killed is removed by the next, and no other', async () => {
    const old = (name: string): string => {
      mkdirSync(scratch.path(name, 'ledger'), { recursive: true });
      utimesSync(scratch.path(name), 1, 1);
      return scratch.path(name);
    };
    const [left, held, foreign] = [old('astrago-standalone-left'), old('astrago-standalone-held'), old('somebody-else')];
    mkdirSync(scratch.path('astrago-standalone-young'));
    const claim = await claimDirectory(held, 'agent');

    await using own = await standaloneDirectory(Date.now(), scratch.directory);

    expect([left, held, foreign, scratch.path('astrago-standalone-young'), own.path].map((path) => existsSync(path))).toEqual([
      false,
      true,
      true,
      true,
      true,
    ]);
    await claim?.[Symbol.asyncDispose]();
  });
});
