import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { writeDurably } from '../files/write-durably.ts';
import { sealed, unsealed } from './seal.ts';

export type Reading =
  | { readonly kind: 'absent' }
  | { readonly kind: 'read'; readonly record: Readonly<Record<string, unknown>> }
  | { readonly kind: 'damaged' };

/** How many damaged files of one name are kept for people. */
const keptMax = 3;

/** Throws where the file cannot be read at all: that is not damage, and an administrator can mend it. */
export async function readSealed(file: string): Promise<Reading> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return { kind: 'absent' };
    throw new Error(`the ledger file ${file} cannot be read; let the user of the agent read it, or move it away`, { cause });
  }
  const record = unsealed(text.trimEnd());
  return record === undefined ? { kind: 'damaged' } : { kind: 'read', record };
}

export async function writeSealed(file: string, record: object): Promise<void> {
  await writeDurably(file, `${sealed(record)}\n`);
}

/** Moves a damaged file away, where a person can look at it; its new name. */
export async function setAside(file: string, nowMs: number): Promise<string> {
  const name = basename(file);
  const aside = `${name}.damaged-${new Date(nowMs).toISOString().replaceAll(/[:.]/g, '')}`;
  await rename(file, join(dirname(file), aside));
  const others = (await readdir(dirname(file))).filter((other) => other.startsWith(`${name}.damaged-`) && other !== aside).sort();
  for (const old of others.slice(0, Math.max(0, others.length + 1 - keptMax))) await rm(join(dirname(file), old), { force: true });
  return aside;
}

/** What a write left behind that was ended in the middle. */
export async function removeDrafts(directory: string): Promise<void> {
  for (const name of await readdir(directory)) if (name.endsWith('.new')) await rm(join(directory, name), { force: true });
}
