import type { ObservedProcess } from './ports.ts';

/**
 * Processes as the driver lists them, with the MPS clients that it does not: on a whole GPU it may list their server
 * alone, and the daemon knows the rest. Of those the memory is not known.
 */
export function withMpsClients(listed: readonly ObservedProcess[], clients: readonly ObservedProcess[]): readonly ObservedProcess[] {
  const isListed = (client: ObservedProcess): boolean =>
    listed.some(({ pid, gpuUuid }) => pid === client.pid && gpuUuid === client.gpuUuid);
  return [...listed, ...clients.filter((client) => !isListed(client))];
}
