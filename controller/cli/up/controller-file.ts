// controller.json: written by the controller once it is ready.

import { watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Clock } from '@astrago/shared/runtime/clock';
import { readJsonFile } from '../locate/json-file.ts';

export interface ControllerFile {
  readonly pid: number;
  readonly url: string;
  readonly joinAddress: string;
  readonly controllerAddress: string;
  readonly joinTokenFile: string;
  readonly adminTokenFile: string;
}

export async function readControllerFile(file: string): Promise<ControllerFile | undefined> {
  const value = await readJsonFile(file);
  if (value === undefined || typeof value['pid'] !== 'number') return undefined;
  const texts = ['url', 'joinAddress', 'controllerAddress', 'joinTokenFile', 'adminTokenFile'] as const;
  if (!texts.every((name) => typeof value[name] === 'string')) return undefined;
  return value as unknown as ControllerFile;
}

/** Yields once for every process that announces itself, the present one included. */
export async function* controllerAnnouncements(
  file: string,
  deps: { readonly clock: Clock; readonly signal: AbortSignal },
): AsyncGenerator<ControllerFile, void, undefined> {
  const { clock, signal } = deps;
  let wake = new AbortController();
  const watcher = watch(dirname(file), (_event, name) => {
    if (name === null || name === basename(file)) wake.abort();
  });
  // A watch may be refused later (too many of them); looking now and then is enough to go on.
  watcher.on('error', () => undefined);
  let announced: number | undefined;
  try {
    while (!signal.aborted) {
      wake = new AbortController();
      const found = await readControllerFile(file);
      if (found !== undefined && found.pid !== announced) {
        announced = found.pid;
        yield found;
        continue;
      }
      await clock.sleep(1000, AbortSignal.any([signal, wake.signal]));
    }
  } finally {
    watcher.close();
  }
}
