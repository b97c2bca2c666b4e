import { existsSync, writeFileSync } from 'node:fs';
import { parseGpuUuid } from '@astrago/shared/domain/ids';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Scratch } from '../testing/scratch.ts';
import { FileModeMemory } from './mode-memory.ts';

let scratch: Scratch;
beforeEach(() => {
  scratch = new Scratch();
});
afterEach(() => scratch[Symbol.asyncDispose]());

const gpu = parseGpuUuid('GPU-00000000-0000-0000-0000-000000000001') ?? expect.unreachable();
const open = (boot = 'boot-1'): Promise<FileModeMemory> => FileModeMemory.open(scratch.path('modes.json'), boot);

it('a mode of our doing is remembered until it is taken back, or the node was rebooted', async () => {
  const first = await open();
  await first.remember(gpu, { before: 'default', set: 'exclusive-process' });

  expect((await open()).get(gpu)).toEqual({ before: 'default', set: 'exclusive-process' });
  expect((await open()).gpus()).toEqual([gpu]);
  expect((await open('boot-2')).gpus()).toEqual([]);

  await first.forget(gpu);
  expect((await open()).gpus()).toEqual([]);
});

it('a damaged memory is set aside and not guessed at', async () => {
  writeFileSync(scratch.path('modes.json'), '{"bootId":"boot-1","mod');

  expect((await open()).gpus()).toEqual([]);
  expect(existsSync(scratch.path('modes.json.damaged'))).toBe(true);
});
