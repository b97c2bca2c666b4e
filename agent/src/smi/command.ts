// The only place a process is started here. A child that does not end is abandoned, never waited for: one that hangs
// in the kernel cannot be killed, and waiting would hang the agent with it.
import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { Clock } from '@astrago/shared/runtime/clock';

export type CommandKind = 'query' | 'mutate' | 'reset';

export interface CommandLimits {
  readonly queryMs: number;
  readonly mutateMs: number;
  readonly resetMs: number;
  /** How long a command waits for one on another GPU to end first; a reset takes about eight seconds. */
  readonly patienceMs: number;
  /** Of each stream. */
  readonly outputBytesMax: number;
}

export const defaultLimits: CommandLimits = {
  queryMs: 20_000,
  mutateMs: 60_000,
  resetMs: 60_000,
  patienceMs: 10_000,
  outputBytesMax: 16 * 1024 * 1024,
};

export interface CommandRequest {
  readonly args: readonly string[];
  readonly kind: CommandKind;
}

export interface CommandSurroundings {
  readonly program: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly limits: CommandLimits;
  readonly clock: Clock;
  readonly kill: (child: ChildProcess) => void;
}

export type CommandEnd =
  | { readonly kind: 'exited'; readonly exitCode: number | undefined; readonly stdout: string; readonly stderr: string }
  | { readonly kind: 'not-started'; readonly cause: unknown }
  /** Given up. `gone` settles when its exit is seen: already so where `ended`, else perhaps never. */
  | {
      readonly kind: 'abandoned';
      readonly why: 'timed-out' | 'aborted' | 'too-much-output';
      readonly ended: boolean;
      readonly gone: Promise<void>;
    };

/** How long a killed child gets before we go on without. */
const graceMs = 200;
/** How long the pipes of an ended child may stay open. On a starved machine its last words take their time. */
const lastWordsMs = 2000;

/**
 * Runs one command to its end or its limit. When `signal` aborts, a query is killed; a change is left to finish
 * within its limit, since killing it half way gives a state that nobody ordered.
 */
export function runCommand(request: CommandRequest, around: CommandSurroundings, signal: AbortSignal): Promise<CommandEnd> {
  let child: ChildProcess;
  try {
    child = spawn(around.program, request.args, {
      env: { ...around.environment, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
      windowsHide: true,
    });
  } catch (cause) {
    return Promise.resolve({ kind: 'not-started', cause });
  }
  const { promise, resolve } = Promise.withResolvers<CommandEnd>();
  const gone = Promise.withResolvers<void>();
  const over = new AbortController();
  const kill = (): void => {
    try {
      around.kill(child);
    } catch {
      // Already gone, or not ours to kill; its exit decides either way.
    }
  };
  let abandoned = false;
  let ended = false;
  const settle = (end: CommandEnd): void => {
    over.abort();
    signal.removeEventListener('abort', onAbort);
    resolve(end);
  };
  const abandon = (why: 'timed-out' | 'aborted' | 'too-much-output'): void => {
    if (abandoned) return;
    abandoned = true;
    if (why === 'aborted' && request.kind !== 'query') {
      letRun(child);
      const limit = setTimeout(kill, limitOf(request.kind, around.limits)).unref();
      void gone.promise.then(() => {
        clearTimeout(limit);
      });
      settle({ kind: 'abandoned', why, ended, gone: gone.promise });
      return;
    }
    kill();
    void Promise.race([gone.promise, around.clock.sleep(graceMs)]).then(() => {
      letGo(child);
      settle({ kind: 'abandoned', why, ended, gone: gone.promise });
    });
  };
  const stdout = collect(child.stdout, around.limits.outputBytesMax, () => {
    abandon('too-much-output');
  });
  const stderr = collect(child.stderr, around.limits.outputBytesMax, () => {
    abandon('too-much-output');
  });
  const exited = (exitCode: number | null): void => {
    if (!abandoned) settle({ kind: 'exited', exitCode: exitCode ?? undefined, stdout: stdout(), stderr: stderr() });
  };
  const onAbort = (): void => {
    abandon('aborted');
  };

  child.once('error', (cause) => {
    if (child.pid !== undefined) return;
    gone.resolve();
    settle({ kind: 'not-started', cause });
  });
  child.once('exit', (exitCode) => {
    ended = true;
    gone.resolve();
    // A grandchild may keep the pipes open for ever; what is printed by then is what we take.
    void around.clock.sleep(lastWordsMs, over.signal).then(async () => {
      // This process may have slept itself: what has come meanwhile is read before it is taken for all there is.
      await pollTurn();
      await pollTurn();
      exited(exitCode);
    });
  });
  child.once('close', exited);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  void around.clock.sleep(limitOf(request.kind, around.limits), over.signal).then(() => {
    if (!over.signal.aborted) abandon('timed-out');
  });
  return promise;
}

/** Ends after the event loop has looked at its pipes once more. */
function pollTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function limitOf(kind: CommandKind, limits: CommandLimits): number {
  return kind === 'query' ? limits.queryMs : kind === 'mutate' ? limits.mutateMs : limits.resetMs;
}

/** Lets this process end without the child, and hears no more of it but its exit. */
function letGo(child: ChildProcess): void {
  child.stdout?.destroy();
  child.stderr?.destroy();
  child.unref();
}

/** Lets this process end without the child, whose pipes stay open so that printing does not kill it. */
function letRun(child: ChildProcess): void {
  for (const stream of [child.stdout, child.stderr]) if (stream instanceof Socket) stream.unref();
  child.unref();
}

function collect(stream: Readable | null, bytesMax: number, overflow: () => void): () => string {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream?.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= bytesMax) chunks.push(chunk);
    else if (bytes - chunk.length <= bytesMax) overflow();
  });
  stream?.on('error', () => undefined);
  return () => Buffer.concat(chunks).toString('utf8');
}
