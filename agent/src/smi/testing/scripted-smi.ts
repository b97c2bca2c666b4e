import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Reply {
  readonly stdout?: string;
  readonly stderr?: string;
  readonly exit?: number;
  /** Shell lines run after printing and before the exit. */
  readonly then?: string;
}

/** An executable that answers command lines from a table and writes down what it was asked. */
export interface ScriptedSmi extends Disposable {
  readonly program: string;
  /** Every command line so far, arguments joined by blanks. */
  calls(): readonly string[];
  /** Adds or replaces answers; keys are shell patterns, and later ones win. */
  answer(replies: Readonly<Record<string, Reply>>): void;
  /** A path in its directory, for scripts that leave something behind. */
  path(name: string): string;
}

export function scriptedSmi(replies: Readonly<Record<string, Reply>>): ScriptedSmi {
  const directory = mkdtempSync(join(tmpdir(), 'scripted-smi-'));
  const program = join(directory, 'nvidia-smi');
  const log = join(directory, 'calls');
  const table = new Map<string, Reply>();
  const write = (): void => {
    const cases = [...table].reverse().map(([pattern, reply], at) => {
      writeFileSync(join(directory, `out-${table.size - at}`), reply.stdout ?? '');
      writeFileSync(join(directory, `err-${table.size - at}`), reply.stderr ?? '');
      const name = `$here/%-${table.size - at}`;
      return `  ${quoted(pattern)}) cat "${name.replace('%', 'out')}"; cat "${name.replace('%', 'err')}" >&2\n${reply.then ?? ':'}\nexit ${reply.exit ?? 0};;`;
    });
    const script = `#!/bin/sh\nhere=${directory}\necho "$*" >> "$here/calls"\ncase "$*" in\n${cases.join('\n')}\nesac\necho "no answer for: $*"; exit 2\n`;
    writeFileSync(`${program}.new`, script, { mode: 0o755 });
    renameSync(`${program}.new`, program);
  };
  const answer = (more: Readonly<Record<string, Reply>>): void => {
    for (const [pattern, reply] of Object.entries(more)) {
      table.delete(pattern);
      table.set(pattern, reply);
    }
    write();
  };
  answer(replies);
  return {
    program,
    calls: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []),
    answer,
    path: (name) => join(directory, name),
    [Symbol.dispose]: () => {
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Blanks kept together, `*` left to the shell. */
function quoted(pattern: string): string {
  return pattern
    .split('*')
    .map((part) => (part === '' ? '' : `'${part}'`))
    .join('*');
}
