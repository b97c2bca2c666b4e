import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { linkProgram } from './link-program.ts';

const linked = new Map<string, string>();

export interface Program {
  /** A simulated machine's or a replay's: the executable is in its `bin`. */
  readonly directory: string;
  readonly name: string;
  /** Module that it starts from. */
  readonly entry: string;
  readonly firstArgument: string;
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Not to be called by name. */
  readonly hidden?: boolean;
}

/** Writes one program, unless it is there already. Returns the path of its executable. */
export function install(program: Program): string {
  const { directory, name, entry } = program;
  const text = linked.get(entry) ?? linkProgram(join(import.meta.dirname, entry));
  linked.set(entry, text);
  const programFile = join(directory, 'lib', `${name}.cjs`);
  const executable = join(directory, 'bin', name);
  replace(programFile, text);
  if (program.hidden) return programFile;
  const exports = Object.entries(program.environment ?? {}).map(([key, value]) => `export ${key}=${quote(value)}\n`);
  const command = `exec ${quote(process.execPath)} --no-warnings ${quote(programFile)} ${quote(program.firstArgument)} "$@"`;
  replace(executable, `#!/bin/sh\nunset NODE_OPTIONS NODE_V8_COVERAGE\n${exports.join('')}${command}\n`, 0o755);
  return executable;
}

export function replace(path: string, text: string, mode = 0o644): void {
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return;
  const temporary = `${path}.${process.pid}.new`;
  writeFileSync(temporary, text);
  chmodSync(temporary, mode);
  renameSync(temporary, path);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
