import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { install } from './install-program.ts';
import { openBundle } from './replay/bundle.ts';

export interface ReplayOrder {
  readonly directory: string;
  /** Directory of a support bundle: `manifest.json` and the files it names. */
  readonly bundle: string;
}

export interface CreatedReplay {
  readonly directory: string;
  readonly nvidiaSmi: string;
}

/** Makes an nvidia-smi that answers as the machine did that the bundle was taken from. Throws where it is no bundle. */
export function createReplay(order: ReplayOrder): CreatedReplay {
  const directory = resolve(order.directory);
  const bundle = resolve(order.bundle);
  openBundle(bundle);
  mkdirSync(join(directory, 'bin'), { recursive: true });
  mkdirSync(join(directory, 'lib'), { recursive: true });
  return { directory, nvidiaSmi: install({ directory, name: 'nvidia-smi', entry: 'replay-main.ts', firstArgument: bundle }) };
}
