// Starts the supervisor in the background, in a session of its own, and waits until it says that the cluster is ready.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { CommandFailure } from '../failure.ts';
import { dataFiles } from '../locate/data-directory.ts';
import type { ClusterPlan } from './cluster-plan.ts';
import { logTail } from './log-tail.ts';
import type { Programs } from './programs.ts';

/** Told once over the channel to the new process; nothing of it is on its command line. */
export interface SupervisorOrder {
  readonly directory: string;
  readonly plan: ClusterPlan;
  readonly programs: Programs;
  readonly version: string;
}

export type SupervisorWord =
  | { readonly kind: 'progress'; readonly text: string }
  | { readonly kind: 'ready' }
  /** Another one holds the directory. */
  | { readonly kind: 'taken' }
  | { readonly kind: 'failed'; readonly code: string; readonly exitCode: ExitCode; readonly what: string; readonly remedy: string };

export interface DetachDeps {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  tell(text: string): void;
}

export async function detach(order: SupervisorOrder, deps: DetachDeps): Promise<'ready' | 'taken' | 'interrupted'> {
  const logs = dataFiles(order.directory).logs;
  mkdirSync(logs, { recursive: true, mode: 0o700 });
  const logFile = join(logs, 'supervisor.log');
  const log = openSync(logFile, 'a', 0o600);
  const script = fileURLToPath(new URL('./supervisor-main.ts', import.meta.url));
  // The directory is there for whoever reads a process list.
  const child = spawn(process.execPath, [script, order.directory], {
    env: { ...deps.environment },
    stdio: ['ignore', log, log, 'ipc'],
    detached: true,
  });
  closeSync(log);
  const interrupt = (): void => void child.kill('SIGTERM');
  deps.signal.addEventListener('abort', interrupt, { once: true });
  try {
    return await new Promise((resolve, reject) => {
      child.on('message', (word: SupervisorWord) => {
        if (word.kind === 'progress') deps.tell(word.text);
        else if (word.kind === 'failed') reject(new CommandFailure(word));
        else resolve(word.kind);
      });
      child.once('error', reject);
      child.once('exit', (code, killed) => {
        if (deps.signal.aborted) return resolve('interrupted');
        void logTail(logFile).then((tail) => {
          const what = `The supervisor ended (${killed ?? `exit code ${code}`}) before the cluster was ready. It wrote last:\n${tail}\n`;
          reject(new CommandFailure({ code: 'cannot-start', exitCode: exitCodes.failed, what, remedy: `The logs are in ${logs}.` }));
        });
      });
      child.send(order);
    });
  } finally {
    deps.signal.removeEventListener('abort', interrupt);
    if (child.connected) child.disconnect();
    child.unref();
  }
}
