// One supervisor a data directory. The lock is a file that names a process; it is void when that process is gone.
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { identify, isAlive, type ProcessIdentity, parseIdentity } from '../locate/process-identity.ts';

export type Lock = { readonly kind: 'held'; release(): Promise<void> } | { readonly kind: 'taken'; readonly by: ProcessIdentity };

export async function takeLock(file: string): Promise<Lock> {
  const self = identify(process.pid);
  if (self === undefined) throw new Error('this system has no /proc, which up needs to tell processes apart');
  const own = `${file}.${self.pid}`;
  await writeFile(own, `${JSON.stringify(self)}\n`, { mode: 0o600 });
  try {
    for (;;) {
      // A link is made whole or not at all, and never over another file.
      if (await links(own, file)) return { kind: 'held', release: () => release(file, self) };
      const holder = await holderOf(file);
      if (holder !== undefined && isAlive(holder)) return { kind: 'taken', by: holder };
      await discard(file, `${own}.void`);
    }
  } finally {
    await rm(own, { force: true });
  }
}

/** Who holds it now; `undefined` when nobody does. */
export async function lockHolder(file: string): Promise<ProcessIdentity | undefined> {
  const holder = await holderOf(file);
  return holder !== undefined && isAlive(holder) ? holder : undefined;
}

/** Another process may have replaced the void file between our reading and our renaming: then it is put back. */
async function discard(file: string, aside: string): Promise<void> {
  await rename(file, aside).catch(() => undefined);
  const taken = await holderOf(aside);
  if (taken !== undefined && isAlive(taken)) await links(aside, file);
  await rm(aside, { force: true });
}

async function release(file: string, self: ProcessIdentity): Promise<void> {
  const holder = await holderOf(file);
  if (holder?.pid === self.pid && holder.startTime === self.startTime) await rm(file, { force: true });
}

async function links(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (failure) {
    if (failure instanceof Error && 'code' in failure && failure.code === 'EEXIST') return false;
    throw failure;
  }
}

async function holderOf(file: string): Promise<ProcessIdentity | undefined> {
  try {
    return parseIdentity(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return undefined;
  }
}
