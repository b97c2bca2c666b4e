// Finds the cluster and speaks to it. Loaded by the commands that do; the others start without the API.
import { createClient, type Client, type ClientOptions } from '@astrago/api/client';
import type { Clock } from '@astrago/shared/runtime/clock';
import { nodeFetch } from './http-fetch.ts';
import { locateCluster, type ClusterChoice } from './locate/locate-cluster.ts';

export async function connect(
  choice: ClusterChoice,
  world: { readonly environment: Readonly<Record<string, string | undefined>>; readonly clock: Clock },
  options: Pick<ClientOptions, 'retryDelaysMs' | 'timeoutMs'>,
): Promise<Client> {
  const location = await locateCluster(choice, world.environment);
  return createClient({ ...location, fetch: nodeFetch(), clock: world.clock, ...options });
}
