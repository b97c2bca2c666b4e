// MIG managers that systemd starts at each boot. NVIDIA's unit is a oneshot: it cuts the GPUs, ends, and is back after the
// next boot, so that looking for its process alone would miss it.
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { MigManagerFinder } from '../app/mig-management.ts';

const unit = 'nvidia-mig-manager.service';

/** Where units are, by precedence (systemd.unit(5)). */
const directories = [
  'etc/systemd/system',
  'run/systemd/system',
  'usr/local/lib/systemd/system',
  'usr/lib/systemd/system',
  'lib/systemd/system',
];
const pulls = /\.(wants|requires|upholds)$/;

/** Read from the disk: asking systemctl would need its socket, and a second per call where systemd is busy. */
export function enabledUnits({ root }: { readonly root: string }): MigManagerFinder {
  return {
    async find() {
      // The mark of a system that was booted by systemd (sd_booted(3)); without it nobody follows the links.
      if ((await kindOf(join(root, 'run/systemd/system'))) === undefined) return [];
      if (!(await isLoadable(root))) return [];
      for (const directory of directories) {
        const inIt = await readdir(join(root, directory)).catch((failure: unknown) => orNothing(failure));
        for (const target of inIt.filter((name) => pulls.test(name)))
          if ((await kindOf(join(root, directory, target, unit))) !== undefined)
            return [`the systemd unit ${unit} (enabled for ${target.replace(pulls, '')})`];
      }
      return [];
    },
  };
}

/** The first file of the unit counts; a link to nowhere masks it. */
async function isLoadable(root: string): Promise<boolean> {
  for (const directory of directories) {
    const path = join(root, directory, unit);
    const kind = await kindOf(path);
    if (kind === 'link') return (await readlink(path)) !== '/dev/null';
    if (kind !== undefined) return true;
  }
  return false;
}

/** The entry itself, whether or not a link leads anywhere: under another root its target has another path. */
async function kindOf(path: string): Promise<'link' | 'other' | undefined> {
  try {
    return (await lstat(path)).isSymbolicLink() ? 'link' : 'other';
  } catch (failure) {
    orNothing(failure);
    return undefined;
  }
}

function orNothing(failure: unknown): readonly string[] {
  if (failure instanceof Error && 'code' in failure && (failure.code === 'ENOENT' || failure.code === 'ENOTDIR')) return [];
  throw failure;
}
