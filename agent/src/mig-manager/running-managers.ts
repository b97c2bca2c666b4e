// MIG managers that run now, by the names of their programs.
import { opendir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MigManagerFinder } from '../app/mig-management.ts';

/** NVIDIA's manager on a node and in Kubernetes, and the tool that it and people call. */
const programs = ['nvidia-mig-manager', 'nvidia-mig-parted', 'mig-manager', 'mig-parted'];

/** The kernel keeps this much of a program's name (TASK_COMM_LEN, 16 with its end). */
const nameBytes = 15;

export interface RunningManagersOptions {
  /** `/proc`, or where that of the host is mounted. */
  readonly proc: string;
  readonly names?: readonly string[];
}

/** Reads `stat` alone, which takes no lock of the process: one that hangs in the kernel does not hang us. */
export function runningManagers({ proc, names = programs }: RunningManagersOptions): MigManagerFinder {
  const byKept = new Map(names.map((name) => [name.slice(0, nameBytes), name]));
  return {
    async find() {
      const found: string[] = [];
      for await (const entry of await opendir(proc)) {
        if (!/^\d+$/.test(entry.name)) continue;
        // Gone meanwhile is not there.
        const stat = await readFile(join(proc, entry.name, 'stat'), 'latin1').catch(() => '');
        const [, kept = '', state = ''] = /^\d+ \((.*)\) (\S)/s.exec(stat) ?? [];
        const name = byKept.get(kept);
        if (name !== undefined && state !== 'Z' && state !== 'X') found.push(`the process ${name} (${entry.name})`);
      }
      return found.sort();
    },
  };
}
