import { create } from '@bufbuild/protobuf';
import { type ExecRequest, type ExecResponse, ExecResponseSchema } from '@astrago/proto/agent';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';

/** Where a further command of an allocation runs. */
export interface ExecTarget {
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
}

/**
 * Runs one command with the devices and the environment of a running allocation, over pipes. It carries the
 * allocation's id, so it ends with the allocation; it also ends with the call.
 */
export async function serveExec(
  call: ServerDuplexStream<ExecRequest, ExecResponse>,
  find: (allocation: string) => Promise<ExecTarget | undefined>,
  signal: AbortSignal,
): Promise<void> {
  const messages = call[Symbol.asyncIterator]();
  const first = await messages.next();
  const start = first.done === true || first.value.message.case !== 'start' ? undefined : first.value.message.value;
  const [program, ...rest] = start?.command ?? [];
  if (start === undefined || program === undefined) throw new Error('the first message must be a start with a command');
  const target = await find(start.allocation);
  if (target === undefined) throw new Error(`allocation ${start.allocation} does not run here`);
  const child = spawn(program, rest, { cwd: target.workingDirectory, env: { ...target.environment }, stdio: 'pipe', signal, killSignal: 'SIGKILL' });
  void feed(child, messages);
  child.stdout.on('data', (chunk: Buffer) => call.write(create(ExecResponseSchema, { message: { case: 'stdout', value: chunk } })));
  child.stderr.on('data', (chunk: Buffer) => call.write(create(ExecResponseSchema, { message: { case: 'stderr', value: chunk } })));
  const code = await new Promise<number>((resolve) => {
    child.on('error', () => resolve(127));
    child.on('close', (exitCode, killedBy) => resolve(exitCode ?? (killedBy === null ? 1 : 137)));
  });
  call.write(create(ExecResponseSchema, { message: { case: 'exitCode', value: code } }));
}

async function feed(child: ChildProcessWithoutNullStreams, messages: AsyncIterator<ExecRequest>): Promise<void> {
  // A command that has ended does not take its input any more; that is no failure.
  child.stdin.on('error', () => undefined);
  try {
    for (;;) {
      const { done, value } = await messages.next();
      if (done === true || value.message.case === 'end') break;
      if (value.message.case === 'stdin') child.stdin.write(value.message.value);
    }
  } catch {
    // The call is over; the signal ends the command.
  }
  child.stdin.end();
}
