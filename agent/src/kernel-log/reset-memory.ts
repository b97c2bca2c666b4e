import { readFile } from 'node:fs/promises';
import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { ResetMemory } from '../app/health-ports.ts';
import { writeDurably } from '../files/write-durably.ts';

export interface ResetMemoryOptions {
  readonly file: string;
  readonly bootId: string;
  readonly uptimeMs: () => number;
  readonly log: (facts: object, message: string) => void;
}

/** Without it an agent that is started again would find an old Xid in the log of the boot, and not the reset that mended it. */
export async function openResetMemory(options: ResetMemoryOptions): Promise<ResetMemory> {
  const { file, bootId, uptimeMs, log } = options;
  const resets = new Map(await load(file, bootId));
  // One after the other, so that an older content never replaces a newer one.
  let writing = Promise.resolve();
  const write = async (): Promise<void> => {
    try {
      await writeDurably(file, `${JSON.stringify({ bootId, resets: Object.fromEntries(resets) })}\n`);
    } catch (failure) {
      const text = failure instanceof Error ? failure.message : String(failure);
      log({ failure: text }, 'a GPU reset could not be written down; after a restart of the agent old Xids of it may be told again');
    }
  };
  return {
    ageMs: (gpu) => {
      const atUptimeMs = resets.get(gpu);
      return atUptimeMs === undefined ? undefined : Math.max(0, uptimeMs() - atUptimeMs);
    },
    note: (gpu) => {
      resets.set(gpu, uptimeMs());
      writing = writing.then(write);
      return writing;
    },
  };
}

/** A file that is not there, damaged or of another boot says nothing: the finding stays, which is the safe side. */
async function load(file: string, bootId: string): Promise<readonly (readonly [GpuUuid, number])[]> {
  try {
    const stored = JSON.parse(await readFile(file, 'utf8')) as { bootId?: unknown; resets?: Readonly<Record<string, unknown>> };
    if (stored.bootId !== bootId) return [];
    return Object.entries(stored.resets ?? {}).flatMap(([gpu, atMs]) =>
      typeof atMs === 'number' ? [[gpu as GpuUuid, atMs] as const] : [],
    );
  } catch {
    return [];
  }
}
