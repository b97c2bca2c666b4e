import { setTimeout as pause } from 'node:timers/promises';
import type { OutputPiece, ProcessLauncher } from '../app/ports.ts';

const lookAgainMs = 100;

/** Output from `offset` on; goes on while it may grow, and ends after what was written last. */
export async function* followOutput(
  launcher: Pick<ProcessLauncher, 'output'>,
  allocation: string,
  offset: number,
  growing: () => boolean,
  signal: AbortSignal,
): AsyncGenerator<OutputPiece, void, undefined> {
  let at = offset;
  while (!signal.aborted) {
    // Asked before the read: what is written after the last read of an ended allocation does not exist.
    const more = growing();
    const output = await launcher.output(allocation, at);
    if (output !== undefined && output.size > at) {
      for await (const piece of output.read(output.size)) yield piece;
      at = output.size;
      continue;
    }
    if (!more) return;
    await pause(lookAgainMs, undefined, { signal }).catch(() => undefined);
  }
}
