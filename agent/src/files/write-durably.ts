import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

let drafts = 0;

/** Replaces a file so that a crash, of the machine too, leaves the old or the new content, never a part. */
export async function writeDurably(file: string, content: string): Promise<void> {
  drafts += 1;
  const draft = `${file}.${process.pid}-${drafts}.new`;
  try {
    const handle = await open(draft, 'w', 0o600);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, file);
  } catch (failure) {
    // A full disk must not be kept full by what could not be written.
    await rm(draft, { force: true }).catch(() => undefined);
    throw failure;
  }
  await syncDirectory(dirname(file));
}

/** Makes the names in a directory durable: a file that was fsynced may still be lost with its name. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
