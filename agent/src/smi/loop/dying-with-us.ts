import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { CommandSurroundings } from '../command.ts';

const found = new Map<string, string | undefined>();

/**
 * A command, and its arguments, whose process ends at once when ours does, whatever ends it: setpriv(1) asks the kernel for
 * that (PR_SET_PDEATHSIG) and becomes the command. As it was given where there is no setpriv.
 */
export function dyingWithUs(
  around: Pick<CommandSurroundings, 'program' | 'environment'>,
  args: readonly string[],
): readonly [program: string, args: readonly string[]] {
  const setpriv = find(around.environment['PATH'] ?? '');
  return setpriv === undefined ? [around.program, args] : [setpriv, ['--pdeathsig', 'KILL', '--', around.program, ...args]];
}

function find(path: string): string | undefined {
  if (!found.has(path))
    found.set(
      path,
      path
        .split(delimiter)
        .map((directory) => join(directory, 'setpriv'))
        .find(isProgram),
    );
  return found.get(path);
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return file.startsWith('/');
  } catch {
    return false;
  }
}
