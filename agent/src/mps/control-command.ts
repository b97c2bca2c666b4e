// Runs the control program once. One that does not end is abandoned, never waited for.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Clock } from '@astrago/shared/runtime/clock';

export interface ControlCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** What it reads: one command. */
  readonly input: string;
  readonly limitMs: number;
  /** Where it prints, for one that leaves a daemon behind: a pipe that we close would end the daemon at its next word. */
  readonly outputFile?: string;
}

export type ControlEnd =
  | { readonly kind: 'exited'; readonly exitCode: number | undefined; readonly output: string }
  | { readonly kind: 'not-started'; readonly cause: unknown }
  /** Given up. `gone` settles when its exit is seen, perhaps never. */
  | { readonly kind: 'abandoned'; readonly why: 'timed-out' | 'aborted'; readonly gone: Promise<void> };

const outputBytesMax = 1024 * 1024;
/** How long the pipes of an ended command may stay open: a daemon that it left behind may hold them for ever. */
const lastWordsMs = 300;

/** `output` is both streams: errors appear on either. */
export function runControl(command: ControlCommand, clock: Clock, signal: AbortSignal): Promise<ControlEnd> {
  const { outputFile } = command;
  let child: ChildProcess;
  let file: number | undefined;
  try {
    file = outputFile === undefined ? undefined : openSync(outputFile, 'w', 0o644);
    child = spawn(command.program, command.args, {
      // A group of its own: what it leaves behind must not hear the signals that end the agent.
      detached: true,
      cwd: '/',
      env: { ...command.environment, LC_ALL: 'C' },
      stdio: file === undefined ? ['pipe', 'pipe', 'pipe'] : ['ignore', file, file],
    });
  } catch (cause) {
    return Promise.resolve({ kind: 'not-started', cause });
  } finally {
    if (file !== undefined) closeSync(file);
  }
  const { promise, resolve } = Promise.withResolvers<ControlEnd>();
  const gone = Promise.withResolvers<void>();
  const over = new AbortController();
  const collected = collect(child);
  const output = (): string => (outputFile === undefined ? collected() : tail(outputFile));
  const settle = (end: ControlEnd): void => {
    over.abort();
    signal.removeEventListener('abort', onAbort);
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
    child.unref();
    resolve(end);
  };
  const abandon = (why: 'timed-out' | 'aborted'): void => {
    child.kill('SIGKILL');
    settle({ kind: 'abandoned', why, gone: gone.promise });
  };
  const onAbort = (): void => abandon('aborted');
  const exited = (exitCode: number | null): void => settle({ kind: 'exited', exitCode: exitCode ?? undefined, output: output() });

  child.once('error', (cause) => {
    if (child.pid !== undefined) return;
    gone.resolve();
    settle({ kind: 'not-started', cause });
  });
  child.once('exit', (exitCode) => {
    gone.resolve();
    void clock.sleep(lastWordsMs, over.signal).then(() => exited(exitCode));
  });
  child.once('close', exited);
  // It may have ended without reading.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(command.input);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  void clock.sleep(command.limitMs, over.signal).then(() => {
    if (!over.signal.aborted) abandon('timed-out');
  });
  return promise;
}

function collect(child: ChildProcess): () => string {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= outputBytesMax) chunks.push(chunk);
    });
    stream?.on('error', () => undefined);
  }
  return () => Buffer.concat(chunks).toString('utf8');
}

function tail(file: string): string {
  try {
    return readFileSync(file, 'utf8').slice(-4096);
  } catch {
    return '';
  }
}
