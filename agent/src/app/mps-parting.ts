import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { CudaDevice, MpsControl } from './mps-control.ts';
import type { Ledger } from './ports.ts';

/**
 * Takes processes off a device, as far as they are clients of its MPS server, so that killing them does the other clients
 * no harm. How many were taken off. Throws `MpsFault`; who calls it waits no longer than it has to.
 */
export async function disconnectClients(
  facts: {
    readonly control: Pick<MpsControl, 'look' | 'terminateClient'>;
    readonly ledger: Pick<Ledger, 'intent' | 'outcome'>;
    readonly gpu: GpuUuid;
    readonly at: CudaDevice;
    readonly members: readonly number[];
    /** For the ledger. */
    readonly whose: string;
  },
  signal: AbortSignal,
): Promise<number> {
  const { control, ledger, gpu, at, members, whose } = facts;
  // Who has just come must not be missed.
  const daemon = await control.look(at, signal, 'fresh');
  const servers = daemon.kind === 'running' ? daemon.servers : [];
  const clients = servers.flatMap((server) =>
    server.clients.filter((pid) => members.includes(pid)).map((pid) => ({ pid, server: server.pid })),
  );
  if (clients.length === 0) return 0;
  const text = `terminate MPS clients ${clients.map(({ pid }) => pid).join(', ')} of ${whose}`;
  await ledger.intent(gpu, text);
  let result = 'done';
  try {
    for (const { server, pid } of clients) await control.terminateClient(at, server, pid, signal);
  } catch (fault) {
    result = fault instanceof Error ? fault.message : String(fault);
    throw fault;
  } finally {
    await ledger.outcome(gpu, text, result);
  }
  return clients.length;
}
