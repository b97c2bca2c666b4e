import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import type { CommandSurroundings } from '../command.ts';
import { dyingWithUs } from './dying-with-us.ts';

export type LoopEnd =
  | { readonly kind: 'exited'; readonly exitCode: number | undefined; readonly stderr: string }
  | { readonly kind: 'not-started'; readonly cause: unknown };

/**
 * A long-running nvidia-smi. Should this process be killed, the kernel kills it too where setpriv(1) of util-linux is at hand;
 * else it ends by itself when it next prints.
 */
export interface LoopChild {
  /** Settles when its exit is seen and its output read; perhaps never. */
  readonly ended: Promise<LoopEnd>;
  kill(): void;
  /** Hears no more of it, and lets this process end without it. */
  letGo(): void;
}

const stderrMax = 2_000;
/** How long the pipe of an ended child may stay open: a grandchild can keep it for ever. */
const lastWordsMs = 500;

export function startLoopChild(
  args: readonly string[],
  around: Pick<CommandSurroundings, 'program' | 'environment' | 'kill' | 'clock'>,
  onText: (text: string) => void,
): LoopChild {
  const { promise: ended, resolve } = Promise.withResolvers<LoopEnd>();
  let child: ChildProcess;
  try {
    const [program, words] = dyingWithUs(around, args);
    child = spawn(program, words, {
      env: { ...around.environment, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
      windowsHide: true,
    });
  } catch (cause) {
    resolve({ kind: 'not-started', cause });
    return { ended, kill: () => undefined, letGo: () => undefined };
  }
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', onText);
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-stderrMax);
  });
  for (const stream of [child.stdout, child.stderr]) stream?.on('error', () => undefined);
  child.once('error', (cause) => {
    if (child.pid === undefined) resolve({ kind: 'not-started', cause });
  });
  const settle = (exitCode: number | null): void => {
    if (exitCode === 127 && /^setpriv: failed to execute/m.test(stderr)) resolve({ kind: 'not-started', cause: new Error(stderr.trim()) });
    resolve({ kind: 'exited', exitCode: exitCode ?? undefined, stderr });
  };
  child.once('close', settle);
  child.once('exit', (exitCode) => {
    void around.clock.sleep(lastWordsMs).then(() => {
      settle(exitCode);
      child.stdout?.destroy();
      child.stderr?.destroy();
    });
  });
  return {
    ended,
    kill: () => {
      try {
        around.kill(child);
      } catch {
        // Already gone, or not ours to kill; its exit decides either way.
      }
    },
    letGo: () => {
      for (const stream of [child.stdout, child.stderr]) if (stream instanceof Socket) stream.destroy();
      child.unref();
    },
  };
}
