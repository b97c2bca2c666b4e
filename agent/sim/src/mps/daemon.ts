import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { readFaults } from '../faults.ts';
import { type GpuModel, requireComputeProfile, requireProfile } from '../gpu-model.ts';
import { daemonDevices, devicesOf, deviceUuid, type Held } from '../held-devices.ts';
import { parseDriver } from '../machine.ts';
import { startedAt } from '../process-table.ts';
import { readState } from '../state-file.ts';
import { type Candidate, type Connected, candidates } from './client-list.ts';
import { type CommandAnswer, runCommandLine } from './commands.ts';
import type { CudaError } from './cuda-error.ts';
import type { MpsKnobs } from './knobs.ts';
import { viewFile } from './live-daemon.ts';
import { logTo } from './log-file.ts';
import { type MpsServer, startServer } from './server-process.ts';
import { receive, send, type ToDaemon } from './wire.ts';

export interface DaemonOrder {
  readonly machineDirectory: string;
  readonly pipeDirectory: string;
  readonly logDirectory: string;
  readonly environment: ReadonlyMap<string, string>;
  readonly model: GpuModel;
}

/** Passive clients make no call, so they are looked for. */
const lookEveryMs = 300;

/** A running control daemon: one server at a time, for one user at a time. */
export class Daemon {
  readonly order: DaemonOrder;
  threadPercentage = 100;
  priority = 0;
  readonly pinned = new Map<string, number>();
  server: MpsServer | undefined;
  readonly connected = new Map<number, Connected>();
  /** Set by `quit`: nobody new gets in, and the daemon ends with its last client. */
  #quitting = false;
  /** Silent processes that were seen before. */
  readonly #known = new Set<string>();
  readonly #excluded = new Map<string, 'gone' | 'waiting'>();
  readonly #start = startedAt(process.pid) ?? 0;
  readonly #listener: Server;
  #looked: readonly Candidate[] | undefined;
  /** Processes that were no clients when last looked at, so that a look at an idle machine costs little. */
  readonly #strangers = new Set<number>();
  #published = '';
  #serverFailures = 0;

  constructor(order: DaemonOrder) {
    this.order = order;
    this.#listener = createServer((socket) => this.#accept(socket));
  }

  /** Resolves when clients can come. */
  async listen(): Promise<void> {
    const socket = join(this.order.pipeDirectory, 'control');
    rmSync(socket, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#listener.once('error', reject).listen(socket, resolve);
    });
    this.log(`Starting control daemon using socket ${socket}`);
    this.log(`To connect CUDA applications to this daemon, set env CUDA_MPS_PIPE_DIRECTORY=${this.order.pipeDirectory}`);
    // Now and then everybody is looked at: a process may have become another program late.
    setInterval(() => this.#strangers.clear(), 10 * lookEveryMs);
    setInterval(() => {
      if (!existsSync(join(this.order.machineDirectory, 'state.json'))) this.#leave();
      this.settle();
    }, lookEveryMs);
    const { dieAfterMs } = this.knobs();
    if (dieAfterMs !== undefined) setTimeout(() => process.kill(process.pid, 'SIGKILL'), dieAfterMs);
  }

  knobs(): MpsKnobs {
    return readFaults(this.order.machineDirectory).mps ?? {};
  }

  log(text: string): void {
    logTo(this.order.logDirectory, 'control.log', 'Control', process.pid, text);
  }

  #serverLog(text: string): void {
    logTo(this.order.logDirectory, 'server.log', 'Other', this.server?.pid ?? 0, text);
  }

  devices(): readonly Held[] {
    const faults = readFaults(this.order.machineDirectory);
    if (faults.driverDown || faults.noDevices || faults.libraryMismatch) return [];
    const lost = typeof faults.gpuLost === 'string' ? faults.gpuLost : faults.gpuLost?.uuid;
    const seen = daemonDevices(this.order.environment, devicesOf(this.order.machineDirectory, readState(this.order.machineDirectory)));
    return seen.filter((one) => one.gpu.uuid !== lost);
  }

  /** Clients that the server serves now, in the order of their pids. */
  clients(): readonly Candidate[] {
    if (!this.server || this.server.state === 'INITIALIZING') return [];
    return this.#candidates().filter((one) => (one.talks ? this.connected.get(one.pid)?.state === 'served' : !this.#excluded.has(one.key)));
  }

  /** A slice takes its part of what the GPU would. */
  clientLimit(): number {
    const state = readState(this.order.machineDirectory);
    const whole = this.knobs().clientLimit ?? (parseDriver(state.driverVersion).major >= 590 ? 60 : 48);
    const slice = this.devices()[0]?.device;
    const { mig } = this.order.model;
    if (!slice || !mig) return whole;
    const { slices } = requireComputeProfile(requireProfile(mig, slice.instance.profileId), slice.compute.profileId);
    return Math.max(1, Math.floor((whole * slices) / mig.computeSlices));
  }

  /** One look serves everything that is done at once. */
  #candidates(): readonly Candidate[] {
    if (!this.#looked) {
      this.#looked = candidates(this.order.machineDirectory, this.order.pipeDirectory, this.devices(), this.#start, this.#strangers);
      setImmediate(() => {
        this.#looked = undefined;
      });
    }
    return this.#looked;
  }

  /** Brings server, waiting clients and what nvidia-smi is told in line with who is there. */
  settle(): void {
    const passive = this.#lookAround();
    const served = this.clients().length;
    if (this.#quitting && served === 0) this.#end();
    if (this.server && served === 0 && this.#mayGo(passive)) this.#retireServer();
    if (!this.server && !this.#quitting) this.#startForWaiting(passive);
    this.#admit();
    this.#publish();
  }

  /** Sorts the silent processes into clients, those that wait, and those that came too many. */
  #lookAround(): readonly Candidate[] {
    const all = this.#candidates();
    const present = new Set(all.map(({ key }) => key));
    for (const key of this.#excluded.keys()) if (!present.has(key)) this.#excluded.delete(key);
    for (const key of this.#known) if (!present.has(key)) this.#known.delete(key);
    const silent = all.filter((one) => !one.talks);
    for (const one of silent.filter(({ key }) => !this.#known.has(key))) {
      this.#known.add(one.key);
      this.#serverFailures = 0;
      if (this.#quitting || !this.#serves(one.uid)) this.#excluded.set(one.key, 'waiting');
      else if (this.clients().length > this.clientLimit()) this.#excluded.set(one.key, 'gone');
      if (!this.#excluded.has(one.key)) this.#serverLog('Received new client request');
    }
    for (const one of silent)
      if (this.#excluded.get(one.key) === 'waiting' && this.#serves(one.uid)) {
        this.#excluded.delete(one.key);
        this.#serverLog('Received new client request');
      }
    return silent.filter((one) => this.#excluded.get(one.key) !== 'gone');
  }

  /** A server that is not there yet will be this user's. */
  #serves(uid: number): boolean {
    return !this.#quitting && (this.server === undefined || (this.server.state !== 'FAULT' && this.server.uid === uid));
  }

  /** A server goes when it has faulted, or when only others than its user's wait. */
  #mayGo(passive: readonly Candidate[]): boolean {
    const { server } = this;
    if (!server) return false;
    if (server.state === 'FAULT') return true;
    const waiting = [...passive, ...[...this.connected.values()].filter((one) => one.state === 'waiting')];
    return waiting.length > 0 && waiting.every((one) => one.uid !== server.uid);
  }

  #retireServer(): void {
    const { server } = this;
    if (!server) return;
    if (server.state === 'FAULT' && this.knobs().afterFault === 'same-server') {
      this.#setState(server, 'ACTIVE');
      return;
    }
    this.server = undefined;
    for (const [key, why] of this.#excluded) if (why === 'waiting') this.#excluded.delete(key);
    this.log(`Server ${server.pid} has no more clients, shutting it down`);
    server.stop();
  }

  #startForWaiting(passive: readonly Candidate[]): void {
    const [waiting] = [...this.connected.values(), ...passive];
    // A server that does not come up is not tried again for the same silent process at every look.
    if (waiting && ('socket' in waiting || this.#serverFailures < 3)) this.startServer(waiting.uid);
  }

  /** The next server takes the defaults as they are now. */
  startServer(uid: number): void {
    const knobs = this.knobs();
    const devices = this.devices();
    const exitCode = knobs.serverExitCode ?? (devices.length === 0 ? 1 : undefined);
    const server = startServer(
      {
        machineDirectory: this.order.machineDirectory,
        uid,
        deviceUuids: devices.map(deviceUuid),
        pipeDirectory: this.order.pipeDirectory,
        threadPercentage: this.threadPercentage,
        pinned: this.pinned,
        orphaned: knobs.orphanServers ?? false,
        exitCode,
      },
      (code, signal) => this.#serverEnded(server, code, signal),
    );
    this.server = server;
    this.log(`Starting new server ${server.pid} for user ${uid}`);
    if (exitCode !== undefined) {
      this.#serverLog(devices.length === 0 ? 'Failed to start : no CUDA-capable device is detected' : 'Failed to start : invalid argument');
      return;
    }
    this.#serverLog(`Connecting to control daemon on socket: ${join(this.order.pipeDirectory, 'control')}`);
    setTimeout(() => {
      if (this.server !== server) return;
      this.#serverFailures = 0;
      this.log(`NEW SERVER ${server.pid}: Ready`);
      this.#serverLog(`Active Threads Percentage set to ${server.threadPercentage.toFixed(1)}`);
      this.#setState(server, 'ACTIVE');
      this.settle();
    }, knobs.serverStartDelayMs ?? 10);
  }

  #setState(server: MpsServer, state: MpsServer['state']): void {
    server.state = state;
    this.#serverLog(`Server ${server.pid} transitions to ${state}`);
  }

  #serverEnded(server: MpsServer, code: number | null, signal: string | null): void {
    if (this.server !== server) return;
    this.log(signal === null ? `Server ${server.pid} exited with status ${code}` : `Server ${server.pid} was ended by ${signal}`);
    const failed = server.state === 'INITIALIZING';
    if (failed) this.#serverFailures += 1;
    else for (const one of this.clients()) if (!one.talks) this.#excluded.set(one.key, 'gone');
    this.server = undefined;
    for (const one of this.connected.values()) {
      if (failed || one.state === 'served') this.#fail(one, failed ? 805 : 806);
    }
    this.#publish();
  }

  #accept(socket: Socket): void {
    this.log('Accepting connection...');
    let client: Connected | undefined;
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      if (!client || this.connected.get(client.pid) !== client) return;
      this.connected.delete(client.pid);
      this.log(`Client ${client.pid} disconnected`);
      this.settle();
    });
    receive<ToDaemon>(socket, (message) => {
      switch (message.kind) {
        case 'command':
          this.#command(socket, message.line);
          break;
        case 'attach':
          client = { pid: message.pid, uid: message.uid, socket, state: 'waiting' };
          this.#attach(client);
          break;
        case 'fault':
          this.fault(message.pid);
          break;
        default:
          message satisfies never;
      }
    });
  }

  #attach(client: Connected): void {
    if (this.#quitting) {
      this.#fail(client, 807);
      return;
    }
    this.connected.set(client.pid, client);
    const exists = this.server?.state === 'ACTIVE' && this.server.uid === client.uid;
    this.log(
      `NEW CLIENT ${client.pid} from user ${client.uid}: ${exists ? 'Server already exists' : 'Server is not ready, push client to pending list'}`,
    );
    this.settle();
  }

  #admit(): void {
    const { server } = this;
    if (server?.state !== 'ACTIVE') return;
    for (const client of [...this.connected.values()].filter((one) => one.state === 'waiting' && one.uid === server.uid)) {
      if (this.clients().length >= this.clientLimit()) {
        this.#fail(client, 808);
        continue;
      }
      client.state = 'served';
      this.#serverLog('Received new client request');
      const { pid: serverPid, threadPercentage } = server;
      send(client.socket, { kind: 'attached', serverPid, threadPercentage, pinnedMiB: this.#pinnedByUuid() });
    }
  }

  #fail(client: Connected, code: CudaError): void {
    this.connected.delete(client.pid);
    send(client.socket, { kind: 'error', code });
  }

  /** Ends one client's use of the GPU; its process is its own to end. */
  terminate(pid: number): void {
    const connected = this.connected.get(pid);
    if (connected) this.#fail(connected, 810);
    else for (const one of this.#candidates()) if (one.pid === pid) this.#excluded.set(one.key, 'gone');
    this.#publish();
  }

  /** A fatal fault: every client of the server sees it, and nobody new gets in before they are gone. */
  fault(pid: number): void {
    const { server } = this;
    if (!server) return;
    // Who came before the fault is hit by it.
    this.#lookAround();
    this.#serverLog(`Client ${pid} has encountered a fatal error`);
    this.#setState(server, 'FAULT');
    for (const one of [...this.connected.values()]) if (one.state === 'served') this.#fail(one, one.pid === pid ? 700 : 719);
    this.settle();
  }

  #command(socket: Socket, line: string): void {
    this.log(`Received command: ${line}`);
    const answer: CommandAnswer = runCommandLine(this, line);
    if (answer.kind === 'answer') send(socket, { kind: 'result', text: answer.text, refused: answer.refused });
    else this.#quit(answer.timeoutSeconds);
  }

  /** The one who asked sees the connection close when the daemon has ended. */
  #quit(timeoutSeconds: number | undefined): void {
    this.#quitting = true;
    const force = timeoutSeconds ?? (this.knobs().quitWithClients === 'force' ? 0 : undefined);
    if (force !== undefined) setTimeout(() => this.#end(), force * 1000);
    this.settle();
  }

  #end(): never {
    this.log('Control daemon is shutting down');
    for (const one of [...this.connected.values()]) this.#fail(one, 806);
    this.server?.stop();
    const { machineDirectory, pipeDirectory } = this.order;
    rmSync(viewFile(machineDirectory, process.pid, this.#start), { force: true });
    for (const name of ['control', 'control_privileged', 'nvidia-cuda-mps-control.pid']) rmSync(join(pipeDirectory, name), { force: true });
    process.exit(0);
  }

  #pinnedByUuid(): Readonly<Record<string, number>> {
    const { server } = this;
    if (!server) return {};
    return Object.fromEntries(
      this.devices().flatMap((one, ordinal) => {
        const uuid = deviceUuid(one);
        const limit = server.pinned.get(String(ordinal)) ?? server.pinned.get(uuid);
        return limit === undefined ? [] : [[uuid, limit] as const];
      }),
    );
  }

  #publish(): void {
    const waiting = [...this.connected.values()].filter((one) => one.state === 'waiting').map((one) => `${one.pid}:${startedAt(one.pid)}`);
    const text = JSON.stringify({ excluded: [...this.#excluded.keys(), ...waiting], pinnedMiB: this.#pinnedByUuid() });
    if (text === this.#published) return;
    this.#published = text;
    const path = viewFile(this.order.machineDirectory, process.pid, this.#start);
    try {
      mkdirSync(join(this.order.machineDirectory, 'mps'), { recursive: true });
      writeFileSync(`${path}.new`, text);
      renameSync(`${path}.new`, path);
    } catch {
      this.#leave();
    }
  }

  /** The machine was removed under it: there is nobody left to serve. */
  #leave(): never {
    this.server?.stop();
    process.exit(1);
  }
}
