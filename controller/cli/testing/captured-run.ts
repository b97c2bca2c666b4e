// Runs the program in this process and keeps what it printed.
import { systemClock } from '@astrago/shared/runtime/clock';
import pc from 'picocolors';
import { run } from '../run.ts';

export interface CapturedRun {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

export async function capturedRun(
  argv: readonly string[],
  given: { readonly environment?: Readonly<Record<string, string>>; readonly signal?: AbortSignal } = {},
): Promise<CapturedRun> {
  let out = '';
  let err = '';
  const exitCode = await run(argv, {
    terminal: {
      colours: pc.createColors(false),
      print: (text) => {
        out += `${text}\n`;
      },
      remark: (text) => {
        err += `${text}\n`;
      },
      pour: (bytes) => {
        out += Buffer.from(bytes).toString('utf8');
        return Promise.resolve();
      },
    },
    environment: given.environment ?? {},
    clock: systemClock,
    interrupt: () => given.signal ?? new AbortController().signal,
  });
  return { exitCode, out, err };
}
