import { dataFiles } from '../locate/data-directory.ts';
import { LocalCluster, type LocalClusterDeps } from './local-cluster.ts';
import { takeLock } from './lock.ts';

/** Runs the cluster of a directory unless another process does. */
export async function supervise(
  deps: Omit<LocalClusterDeps, 'tell' | 'onReady'>,
  events: { readonly signal: AbortSignal; tell(text: string): void; onReady(): void },
): Promise<'stopped' | 'taken'> {
  const lock = await takeLock(dataFiles(deps.directory).supervisor);
  if (lock.kind === 'taken') return 'taken';
  try {
    await new LocalCluster({ ...deps, tell: (text) => events.tell(text), onReady: () => events.onReady() }).run(events.signal);
    return 'stopped';
  } finally {
    await lock.release();
  }
}
