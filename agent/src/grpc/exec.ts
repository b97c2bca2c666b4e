import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { type ExecRequest, type ExecResponse, ExecResponseSchema } from '@astrago/proto/agent';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { sendMessage } from './send-message.ts';

/** Where a further command of an allocation runs. */
export interface ExecTarget {
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  /** Words before the command, and the environment for them: its limits, and the user it runs as. */
  readonly wrapped?: { readonly words: readonly string[]; readonly environment: Readonly<Record<string, string>> } | undefined;
}

/** The request cannot be served, and it is the caller's to know why. */
export class ExecRefused extends Error {
  override name = 'ExecRefused';
  readonly reason: 'not-running' | 'not-understood';
  constructor(reason: 'not-running' | 'not-understood', text: string) {
    super(text);
    this.reason = reason;
  }
}

type Call = ServerDuplexStream<ExecRequest, ExecResponse>;

/**
 * Runs one command with the devices and the environment of a running allocation, over pipes. It carries the
 * allocation's id, so it ends with the allocation; it also ends with the call.
 */
export async function serveExec(
  call: Call,
  find: (allocation: string) => Promise<ExecTarget | undefined>,
  signal: AbortSignal,
): Promise<void> {
  // The plain iterator would destroy the whole call when its input ends, and with it the answer.
  const messages = call.iterator({ destroyOnReturn: false }) as AsyncIterator<ExecRequest>;
  const first = await messages.next();
  const start = first.done === true || first.value.message.case !== 'start' ? undefined : first.value.message.value;
  const [program, ...rest] = start?.command ?? [];
  if (start === undefined || program === undefined)
    throw new ExecRefused('not-understood', 'the first message must be a start with a command');
  const target = await find(start.allocation);
  if (target === undefined) throw new ExecRefused('not-running', `allocation ${start.allocation} does not run here`);
  const send = (message: MessageInitShape<typeof ExecResponseSchema>['message']): Promise<void> =>
    sendMessage(call, create(ExecResponseSchema, message === undefined ? {} : { message }), signal);
  const code = await runBeside(program, rest, target, messages, send, signal);
  await send({ case: 'exitCode', value: code });
}

async function runBeside(
  program: string,
  args: readonly string[],
  target: ExecTarget,
  messages: AsyncIterator<ExecRequest>,
  send: (message: MessageInitShape<typeof ExecResponseSchema>['message']) => Promise<void>,
  signal: AbortSignal,
): Promise<number> {
  let child: ChildProcessWithoutNullStreams;
  const [first = program, ...more] = [...(target.wrapped?.words ?? []), program, ...args];
  const env = { ...(target.wrapped?.environment ?? target.environment) };
  try {
    // A session of its own, so that what it starts can be ended with it.
    child = spawn(first, more, { cwd: target.workingDirectory, env, stdio: 'pipe', detached: true });
    if (child.pid === undefined) await once(child, 'spawn');
  } catch (cause) {
    await send({ case: 'stderr', value: Buffer.from(`${cause instanceof Error ? cause.message : String(cause)}\n`) });
    return isMissing(cause) ? 127 : 126;
  }
  const end = (): void => killGroup(child.pid);
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  void feed(child, messages);
  // A grandchild may keep the pipes open after the command has ended; it belongs to the command.
  const pour = async (stream: Readable, kind: 'stdout' | 'stderr'): Promise<void> => {
    for await (const chunk of stream) await send({ case: kind, value: chunk as Uint8Array<ArrayBuffer> });
  };
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  await Promise.all([pour(child.stdout, 'stdout'), pour(child.stderr, 'stderr')]);
  const [code, killedBy] = await exited;
  signal.removeEventListener('abort', end);
  return code ?? 128 + (killedBy === null ? 0 : constants.signals[killedBy]);
}

async function feed(child: ChildProcessWithoutNullStreams, messages: AsyncIterator<ExecRequest>): Promise<void> {
  // A command that has ended does not take its input any more; that is no failure.
  child.stdin.on('error', () => undefined);
  try {
    for (;;) {
      const { done, value } = await messages.next();
      if (done === true || value.message.case === 'end') break;
      if (value.message.case === 'stdin' && !child.stdin.write(value.message.value)) await once(child.stdin, 'drain');
    }
  } catch {
    // The call is over; the signal ends the command.
  }
  child.stdin.end();
}

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // Ended already.
  }
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
}
