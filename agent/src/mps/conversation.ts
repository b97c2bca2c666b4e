import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Clock } from '@astrago/shared/runtime/clock';
import { type CudaDevice, MpsFault } from '../app/mps-control.ts';
import { CommandLanes } from './command-lanes.ts';
import { runControl } from './control-command.ts';
import type { DeviceDirectories } from './device-directory.ts';
import { saysNoDaemon } from './parse-answers.ts';

export interface ConversationDeps {
  /** Path or name of nvidia-cuda-mps-control; absent: beside nvidia-smi where that is a path, else by name. */
  readonly program: string | undefined;
  readonly nvidiaSmi: string;
  /** Of which the paths to programs and libraries are handed on, and no more. */
  readonly environment: Readonly<Record<string, string>>;
  readonly clock: Clock;
}

/** Commands to the control daemons, one at a time for each. What an aborted signal ends rejects with the signal's reason. */
export class Conversation {
  readonly #deps: ConversationDeps;
  readonly #directories: DeviceDirectories;
  readonly #lanes = new CommandLanes();

  constructor(deps: ConversationDeps, directories: DeviceDirectories) {
    this.#deps = deps;
    this.#directories = directories;
  }

  get hungCount(): number {
    return this.#lanes.hungCount;
  }

  /** One command on standard input. @param lenient an error exit is an answer too: it says nothing. */
  async ask(device: CudaDevice, command: string, signal: AbortSignal, limitMs: number, lenient = false): Promise<string> {
    const output = await this.run(device, [], `${command}\n`, limitMs, signal);
    if (saysNoDaemon(output.text)) throw new MpsFault('no-daemon', command, output.text);
    if (output.exitCode !== 0 && !lenient) throw new MpsFault('failed', command, output.text);
    return output.exitCode === 0 ? output.text : '';
  }

  run(
    device: CudaDevice,
    args: readonly string[],
    input: string,
    limitMs: number,
    signal: AbortSignal,
    more: Readonly<Record<string, string>> = {},
  ): Promise<{ readonly exitCode: number | undefined; readonly text: string }> {
    const what = [...args, input.trim()].join(' ').trim();
    return this.#lanes.run(device, async () => {
      if (signal.aborted) throw signal.reason;
      if (this.#lanes.isHung(device)) throw new MpsFault('busy-with-hung-command', what);
      const environment = { ...this.#handedOn, ...more, ...this.#directoriesOf(device) };
      const print = args.length === 0 ? {} : { outputFile: join(this.#directories.logsOf(device), 'start.log') };
      const command = { program: this.#program, args, environment, input, limitMs, ...print };
      const ended = await runControl(command, this.#deps.clock, signal);
      if (ended.kind === 'exited') return { exitCode: ended.exitCode, text: ended.output };
      if (ended.kind === 'not-started') throw notStarted(ended.cause, what);
      this.#lanes.abandon(device, ended.gone);
      if (ended.why === 'aborted') throw signal.reason;
      throw new MpsFault('timed-out', what, `no end within ${limitMs} ms`);
    });
  }

  get #program(): string {
    const { program, nvidiaSmi } = this.#deps;
    if (program !== undefined) return program;
    const beside = join(dirname(nvidiaSmi), 'nvidia-cuda-mps-control');
    return nvidiaSmi.includes('/') && existsSync(beside) ? beside : 'nvidia-cuda-mps-control';
  }

  get #handedOn(): Readonly<Record<string, string>> {
    return Object.fromEntries(Object.entries(this.#deps.environment).filter(([name]) => name === 'PATH' || name === 'LD_LIBRARY_PATH'));
  }

  #directoriesOf(device: CudaDevice): Readonly<Record<string, string>> {
    return { CUDA_MPS_PIPE_DIRECTORY: this.#directories.of(device), CUDA_MPS_LOG_DIRECTORY: this.#directories.logsOf(device) };
  }
}

function notStarted(cause: unknown, command: string): MpsFault {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  const text = cause instanceof Error ? cause.message : String(cause);
  if (code !== 'ENOENT' && code !== 'EACCES' && code !== 'ENOEXEC' && code !== 'ENOTDIR')
    return new MpsFault('failed', command, text, cause);
  return new MpsFault(
    'program-missing',
    command,
    `${text}; it comes with the driver's compute utilities: install them, or set ASTRAGO_NVIDIA_CUDA_MPS_CONTROL to its path`,
    cause,
  );
}
