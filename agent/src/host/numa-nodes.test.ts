import { mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Scratch } from '../testing/scratch.ts';
import { numaNodes } from './numa-nodes.ts';

let scratch: Scratch;
beforeEach(() => {
  scratch = new Scratch();
});
afterEach(() => scratch[Symbol.asyncDispose]());

function device(name: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(scratch.path('sys', 'bus', 'pci', 'devices', name), { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(scratch.path('sys', 'bus', 'pci', 'devices', name, file), text);
}

const nodeOf = (busId: string): Promise<number | undefined> => numaNodes({ root: scratch.directory }).of(busId);

it('a GPU is on the node that the kernel names, whatever the length of its domain', async () => {
  device('0000:1b:00.0', { vendor: '0x10de\n', numa_node: '1\n' });
  device('0001:1b:00.0', { vendor: '0x10de\n', numa_node: '0\n' });
  device('10000:01:00.0', { vendor: '0x10de\n', numa_node: '3\n' });
  expect(await Promise.all(['00000000:1B:00.0', '00000001:1B:00.0', '00010000:01:00.0'].map(nodeOf))).toEqual([1, 0, 3]);
});

it.each([
  ['the kernel does not know', '00000000:01:00.0', { vendor: '0x10de\n', numa_node: '-1\n' }],
  ['the kernel has no such file', '00000000:01:00.0', { vendor: '0x10de\n' }],
  ['something else is at its place', '00000000:01:00.0', { vendor: '0x15b3\n', numa_node: '1\n' }],
  ['its file holds nonsense', '00000000:01:00.0', { vendor: '0x10de\n', numa_node: 'one\n' }],
  ['it is not there', '00000000:02:00.0', { vendor: '0x10de\n', numa_node: '1\n' }],
  ['the driver does not tell its place', '', { vendor: '0x10de\n', numa_node: '1\n' }],
])('no node is made up where %s', async (_what, busId, files) => {
  device('0000:01:00.0', files);
  expect(await nodeOf(busId)).toBeUndefined();
});
