import { mkdirSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Scratch } from '../testing/scratch.ts';
import { mpsDirectory, socketBytes } from './mps-directory.ts';

let scratch: Scratch;
beforeEach(() => {
  scratch = new Scratch();
  mkdirSync(scratch.path('run'));
});
afterEach(() => scratch[Symbol.asyncDispose]());

const choose = (more: Partial<Parameters<typeof mpsDirectory>[0]>): string =>
  mpsDirectory({
    asked: undefined,
    dataDirectory: '/var/lib/astrago',
    runDirectory: scratch.path('run'),
    temporaryDirectory: '/short',
    ...more,
  });

it('sockets of MPS are where everybody may get, each agent with a place of its own', () => {
  const own = choose({ isRoot: true });
  expect(own).toMatch(/\/run\/astrago\/mps\/[0-9a-f]{8}$/);
  expect(choose({ isRoot: true, dataDirectory: '/var/lib/other' })).not.toBe(own);
  expect(choose({ isRoot: true, runDirectory: scratch.path('no') })).toMatch(/^\/short\/astrago-mps-[0-9a-f]{8}$/);
});

it('sockets of an agent that is not root are in its data, or somewhere shorter', () => {
  expect(choose({ isRoot: false })).toBe('/var/lib/astrago/mps');
  expect(choose({ isRoot: false, dataDirectory: `/${'d'.repeat(90)}` })).toMatch(/^\/short\//);
});

it('a path that no socket can have is refused with what to do', () => {
  const longest = `/${'d'.repeat(88)}`;
  expect(socketBytes(longest)).toBe(107 - 1);
  expect(choose({ asked: `${longest}d` })).toBe(`${longest}d`);
  expect(() => choose({ asked: `${longest}dd` })).toThrow('1 bytes longer than the 107 that a socket may have; set ASTRAGO_MPS_DIRECTORY');
  expect(() => choose({ asked: `${longest}ü` })).toThrow('1 bytes longer');
  expect(() => choose({ asked: 'here' })).toThrow('must be an absolute path');
});
