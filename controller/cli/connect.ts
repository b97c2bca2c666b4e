// Finds the cluster and speaks to it. Loaded by the commands that do; the others start without the API.
import { type Client, type ClientOptions, createClient } from '@astrago/api/client';
import type { Clock } from '@astrago/shared/runtime/clock';
import { nodeFetch } from './http-fetch.ts';
import { type ClusterChoice, locateCluster } from './locate/locate-cluster.ts';

export async function connect(
  choice: ClusterChoice,
  world: { readonly environment: Readonly<Record<string, string | undefined>>; readonly clock: Clock },
  options: Pick<ClientOptions, 'retryDelaysMs' | 'timeoutMs'>,
): Promise<Client> {
  const { url, token, supervised } = await locateCluster(choice, world.environment);
  const patience = supervised ? { retryDelaysMs: [100, 300, 1000, 2000, 3000, 4000, 5000] } : {};
  return createClient({ url, token, ...patience, fetch: nodeFetch(), clock: world.clock, ...options });
}
