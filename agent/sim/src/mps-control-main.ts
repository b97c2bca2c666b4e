import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { Answer } from './answer.ts';
import { actionNow, spoiler } from './fault-action.ts';
import { readFaults } from './faults.ts';
import type { GpuModel } from './gpu-model.ts';
import { hang } from './hang.ts';
import { daemonDevices, devicesOf } from './held-devices.ts';
import { liveDaemon, pidFileName, pipeDirectoryOf } from './mps/live-daemon.ts';
import { type FromDaemon, receive, send } from './mps/wire.ts';
import { pause } from './pause.ts';
import { startedAt } from './process-table.ts';
import { readState } from './state-file.ts';

const noDaemon = 'Cannot find MPS control daemon process';
const runs = 'An instance of this daemon is already running';

const [, , stateFile = '', ...args] = process.argv;
const machineDirectory = dirname(stateFile);
const environment = new Map(Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])));
const pipeDirectory = pipeDirectoryOf(environment);

/** One call of the simulated nvidia-cuda-mps-control; with `-f`, and inside `-d`, the daemon itself. */
async function main(): Promise<number> {
  const [option] = args;
  if (option === '-d') return withFaults('-d', (answer) => startDaemon(answer));
  if (option === '-f') return withFaults('-f', () => runDaemon());
  if (option === '--daemon-process') return runDaemon();
  if (option !== undefined) {
    console.log(`Unknown option: ${option}\nusage: nvidia-cuda-mps-control [-d | -f]`);
    return 1;
  }
  return passCommands();
}

/** Applies the rules of `faults.json` that name this tool; `what` is the option or the command line. */
async function withFaults(what: string, work: (answer: Answer) => Promise<number>): Promise<number> {
  const state = readState(machineDirectory);
  const faults = readFaults(machineDirectory);
  const held = daemonDevices(liveDaemon(machineDirectory, pipeDirectory)?.environment ?? environment, devicesOf(machineDirectory, state));
  const selected = held.map((one) => one.gpu);
  const { action } = await actionNow(machineDirectory, faults, 'nvidia-cuda-mps-control', [what], state.gpus, selected);
  const answer = new Answer();
  pause(action.delayMs ?? 0);
  if (action.hang) await hang();
  if (action.killSelf === 'before') process.kill(process.pid, 'SIGKILL');
  if (action.killDaemon === 'before') killDaemon();
  let exitCode = 0;
  if (action.stdout !== undefined || action.stderr !== undefined) {
    answer.printRaw(action.stdout ?? '');
    answer.complainRaw(action.stderr ?? '');
  } else exitCode = await work(answer);
  if (action.killSelf === 'after') process.kill(process.pid, 'SIGKILL');
  if (action.killDaemon === 'after') killDaemon();
  answer.flush(spoiler(action), 1);
  return action.exitCode ?? exitCode;
}

function killDaemon(): void {
  const daemon = liveDaemon(machineDirectory, pipeDirectory);
  if (!daemon) return;
  process.kill(daemon.pid, 'SIGKILL');
  while (startedAt(daemon.pid) !== undefined) pause(1);
}

/** `-d`: ends when the daemon can be talked to. */
async function startDaemon(answer: Answer): Promise<number> {
  if (liveDaemon(machineDirectory, pipeDirectory)) {
    answer.print(runs);
    return 1;
  }
  const program = process.argv[1] ?? '';
  const child = spawn(process.execPath, ['--no-warnings', program, stateFile, '--daemon-process'], {
    argv0: 'nvidia-cuda-mps-control',
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const word = await new Promise<string>((resolve) => {
    child.on('message', (message) => resolve(String(message)));
    child.on('exit', () => resolve('ended'));
  });
  if (child.connected) child.disconnect();
  child.unref();
  // A path that is too long for a socket goes unsaid, as with the real one.
  if (word === 'ready' || word === 'ended') return 0;
  answer.print(word);
  return 1;
}

async function runDaemon(): Promise<number> {
  process.title = 'nvidia-cuda-mps-control';
  const tell = (word: string): void => {
    if (process.send) process.send(word);
    else if (word !== 'ready') console.log(word);
  };
  const logDirectory = process.env['CUDA_MPS_LOG_DIRECTORY'] || '/var/log/nvidia-mps';
  try {
    for (const directory of [pipeDirectory, logDirectory]) makeDirectory(directory);
    const claimed = (await import('./machine-lock.ts')).withMachineLock(machineDirectory, () => {
      if (liveDaemon(machineDirectory, pipeDirectory)) return false;
      for (const file of ['control_lock', 'log']) writeFileSync(join(pipeDirectory, file), '');
      writeFileSync(join(pipeDirectory, pidFileName), `${process.pid}\n`);
      return true;
    });
    if (!claimed) {
      tell(runs);
      return 1;
    }
  } catch (error) {
    tell(`Failed to start the MPS control daemon: ${(error as Error).message}`);
    return 1;
  }
  const { model } = JSON.parse(readFileSync(join(machineDirectory, 'lib', 'model.json'), 'utf8')) as { model: GpuModel };
  const { Daemon } = await import('./mps/daemon.ts');
  const daemon = new Daemon({ machineDirectory, pipeDirectory, logDirectory, environment, model });
  if (join(pipeDirectory, 'control').length > 107) {
    daemon.log('Failed to bind the control socket: its path is too long');
    return 1;
  }
  await daemon.listen();
  tell('ready');
  return new Promise(() => undefined);
}

/** The last part only: its parent must be there. */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** Commands one a line on standard input, each answered before the next is sent. */
async function passCommands(): Promise<number> {
  const lines = readFileSync(0, 'utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  let exitCode = 0;
  for (const line of lines.length === 0 ? [''] : lines) {
    exitCode = (await withFaults(line, (answer) => passCommand(line, answer))) || exitCode;
    if (exitCode !== 0 && liveDaemon(machineDirectory, pipeDirectory) === undefined) break;
  }
  return exitCode;
}

async function passCommand(line: string, answer: Answer): Promise<number> {
  const socket = await connected();
  if (!socket) {
    answer.print(noDaemon);
    return 1;
  }
  const result = await new Promise<Extract<FromDaemon, { kind: 'result' }> | undefined>((resolve) => {
    receive<FromDaemon>(socket, (message) => {
      if (message.kind === 'result') resolve(message);
    });
    socket.on('close', () => resolve(undefined));
    send(socket, { kind: 'command', line });
  });
  socket.destroy();
  if (!result) {
    // The daemon ended: as it was asked to, or under the command.
    if (line.startsWith('quit')) return 0;
    answer.print(noDaemon);
    return 1;
  }
  answer.printRaw(result.text);
  return result.refused ? (readFaults(machineDirectory).mps?.refusedExitCode ?? 0) : 0;
}

function connected(): Promise<Socket | undefined> {
  const path = join(pipeDirectory, 'control');
  if (path.length > 107) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const socket = connect(path, () => resolve(socket));
    socket.on('error', () => resolve(undefined));
  });
}

void main().then((exitCode) => {
  process.exit(exitCode);
});
