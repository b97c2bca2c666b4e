import { readFileSync } from 'node:fs';
import { join, normalize } from 'node:path';

/** `manifest.json` of a support bundle: what a machine answered. */
export interface Manifest {
  readonly version: 1;
  readonly commands: readonly ManifestCommand[];
}

export interface ManifestCommand {
  readonly args: readonly string[];
  /** Absent, or null, for a command that did not end by itself. */
  readonly exitCode?: number | null;
  /** Files of the bundle; absent where nothing was printed. */
  readonly stdout?: string;
  readonly stderr?: string;
}

/** One recorded answer. */
export interface Recorded {
  readonly args: readonly string[];
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Bundle {
  readonly commands: readonly ManifestCommand[];
  readonly load: (command: ManifestCommand) => Recorded;
}

export function openBundle(directory: string): Bundle {
  const manifest = JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8')) as Manifest;
  if (manifest.version !== 1 || !Array.isArray(manifest.commands)) throw new Error(`${directory} is no support bundle of version 1`);
  const text = (file: string | undefined): string => {
    if (file === undefined) return '';
    const inside = normalize(file);
    if (inside.startsWith('..') || inside.startsWith('/')) throw new Error(`the bundle names ${file}, which is not in it`);
    return readFileSync(join(directory, inside), 'utf8');
  };
  const load = (command: ManifestCommand): Recorded => ({
    args: command.args,
    exitCode: command.exitCode ?? 255,
    stdout: text(command.stdout),
    stderr: text(command.stderr),
  });
  return { commands: manifest.commands.map((command) => ({ ...command, args: withoutLoop(command.args).args })), load };
}

/** The command without its loop, and the loop's period. */
export function withoutLoop(args: readonly string[]): { readonly args: readonly string[]; readonly periodMs: number | undefined } {
  const rest: string[] = [];
  let periodMs: number | undefined;
  for (let n = 0; n < args.length; n += 1) {
    const arg = args[n] ?? '';
    const [, option, given] = /^(-l|-lms|--loop|--loop-ms)(?:=(.*))?$/.exec(arg) ?? [];
    if (option === undefined) {
      rest.push(arg);
      continue;
    }
    const next = args[n + 1];
    const value = given ?? (next !== undefined && /^\d+$/.test(next) ? next : undefined);
    if (given === undefined && value !== undefined) n += 1;
    periodMs = option.endsWith('ms') ? Number(value ?? '0') : Number(value ?? '5') * 1000;
  }
  return { args: rest, periodMs };
}

/** The command without its choice of a GPU, and the choice. */
export function withoutId(args: readonly string[]): { readonly args: readonly string[]; readonly id: string | undefined } {
  const at = args.findIndex((arg) => arg === '-i' || arg === '--id');
  if (at >= 0) return { args: args.filter((_, n) => n !== at && n !== at + 1), id: args[at + 1] };
  const joined = args.find((arg) => arg.startsWith('--id='));
  return { args: args.filter((arg) => arg !== joined), id: joined?.slice('--id='.length) };
}

export function sameArgs(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((arg, n) => arg === b[n]);
}
