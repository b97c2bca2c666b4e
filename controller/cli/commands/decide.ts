import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { CommandContext } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { CommandFailure } from '../failure.ts';

/** The program that decides belongs to the controller; this one knows only how to start it. */
const program = fileURLToPath(new URL('../../src/decide-file.ts', import.meta.url));
const outputBytesMax = 2 ** 28;

export async function decide(context: CommandContext, file: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const ran = execFile(
    process.execPath,
    [...process.execArgv, program, file, ...(context.json ? ['--json'] : [])],
    { maxBuffer: outputBytesMax },
    (failure, stdout, stderr) => {
      if (failure === null) resolve(stdout);
      else reject(ran.exitCode === exitCodes.usage ? refused(stderr) : new Error(stderr.trim() === '' ? failure.message : stderr.trim()));
    },
  );
  context.terminal.print((await promise).trimEnd());
}

function refused(stderr: string): CommandFailure {
  return new CommandFailure({
    code: 'bad-snapshot',
    exitCode: exitCodes.usage,
    what: stderr.trim().replace(/^astrago: /, ''),
    remedy: '',
  });
}
