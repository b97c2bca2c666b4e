import { type Client, Unreachable } from '@astrago/api/client';
import type { CommandContext } from '../context.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import type { NamedInput } from './describe.ts';

export interface LogsInput extends NamedInput {
  readonly follow?: boolean;
}

/** How often in a row a followed stream may break without having brought anything. */
const breaksMax = 10;

export async function logs(context: CommandContext, input: LogsInput): Promise<ExitCode> {
  const client = await context.connect();
  const signal = input.follow === true ? context.interrupt() : undefined;
  try {
    // By id from here on: a name may pass to a newer workload while the stream is open.
    const { id } = await client.getWorkload({ params: { workload: input.name }, query: { workspace: input.workspace } }, { signal });
    if (context.json) await asDocument(context, client, id, input.follow === true, signal);
    else await pour(context, client, id, input.follow === true, signal);
    return exitCodes.ok;
  } catch (failure) {
    if (signal?.aborted === true) return exitCodes.interrupted;
    throw failure;
  }
}

/** Output only grows, so a broken stream goes on after the bytes that were already shown. */
async function pour(context: CommandContext, client: Client, id: string, follow: boolean, signal: AbortSignal | undefined): Promise<void> {
  let shown = 0;
  let breaks = 0;
  for (;;) {
    let seen = 0;
    try {
      for await (const chunk of client.workloadLogs(
        { params: { workload: id }, query: { follow: follow ? 'true' : 'false' } },
        { signal },
      )) {
        const fresh = chunk.subarray(Math.max(0, Math.min(chunk.length, shown - seen)));
        seen += chunk.length;
        if (fresh.length === 0) continue;
        shown += fresh.length;
        breaks = 0;
        await context.terminal.pour(fresh);
      }
      return;
    } catch (failure) {
      breaks += 1;
      if (!follow || !(failure instanceof Unreachable) || breaks > breaksMax) throw failure;
      await context.clock.sleep(500, signal);
    }
  }
}

async function asDocument(
  context: CommandContext,
  client: Client,
  id: string,
  follow: boolean,
  signal: AbortSignal | undefined,
): Promise<void> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of client.workloadLogs({ params: { workload: id }, query: { follow: follow ? 'true' : 'false' } }, { signal }))
    chunks.push(chunk);
  context.terminal.print(JSON.stringify({ id, text: Buffer.concat(chunks).toString('utf8') }));
}
