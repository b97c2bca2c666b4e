import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Scratch } from '../testing/scratch.ts';
import { EndedOutputs } from './ended-outputs.ts';
import { startMark } from './output-file.ts';

let scratch: Scratch;

beforeEach(() => {
  scratch = new Scratch();
  mkdirSync(scratch.path('live'));
});
afterEach(() => scratch[Symbol.asyncDispose]());

/** Keeps outputs a, b, c, …, the first the oldest. */
async function keep(ended: EndedOutputs, names: string, bytes: number): Promise<void> {
  for (const [index, name] of [...names].entries()) {
    const file = scratch.path('live', name);
    writeFileSync(file, 'x'.repeat(bytes));
    writeFileSync(startMark(file), '1');
    await ended.keep(name, file);
    utimesSync(scratch.path('ended', `${name}.log`), index, index);
  }
}

const kept = (): readonly string[] => readdirSync(scratch.path('ended')).toSorted();

it.each([
  ['few', { countMax: 2, bytesMax: 10 ** 9 }],
  ['small', { countMax: 100, bytesMax: 2.5 * 65_536 }],
])('the outputs of forgotten allocations are kept %s enough, the newest of them', async (_, limits) => {
  const ended = new EndedOutputs({ directory: scratch.path('ended'), ...limits });
  await keep(ended, 'abcd', 65_536);
  expect(kept()).toHaveLength(8);

  await ended.trim();
  expect(kept()).toEqual(['c.log', 'c.log.start', 'd.log', 'd.log.start']);
});

it('there being none is fine', async () => {
  const ended = new EndedOutputs({ directory: scratch.path('ended'), countMax: 1, bytesMax: 1 });
  await ended.trim();
  await ended.keep('a', scratch.path('live', 'nothing'));
  expect(kept()).toEqual([]);
});
