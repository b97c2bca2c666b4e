import type { MpsLimits } from '#core/sharing/mps-limits';
import type { MpsDaemonNow, MpsServerNow } from '#core/sharing/next-sharing-step';
import { type CudaDevice, type MpsControl, MpsFault } from '../app/mps-control.ts';
import { Conversation, type ConversationDeps } from './conversation.ts';
import { daemonOf, end, isAlive, type OwnProcess, serversOf } from './daemon-processes.ts';
import { DeviceDirectories } from './device-directory.ts';
import { LimitsMemory } from './limits-memory.ts';
import {
  parseClientTable,
  parseCudaError,
  parseMemory,
  parsePercentage,
  parsePids,
  parseServerState,
  saysAlreadyRunning,
} from './parse-answers.ts';

export interface ControlLimits {
  readonly askMs: number;
  /** From starting a daemon until it answers. */
  readonly startMs: number;
  readonly terminateMs: number;
  readonly quitMs: number;
  /** From a signal to a process of ours until the next, harder one. */
  readonly endMs: number;
}

const defaultLimits: ControlLimits = { askMs: 10_000, startMs: 15_000, terminateMs: 5000, quitMs: 15_000, endMs: 3000 };
const pollMs = 50;

export interface LocalMpsControlDeps extends ConversationDeps {
  /** The root of this agent, see `mpsDirectory`. */
  readonly directory: string;
  readonly limits?: Partial<ControlLimits>;
}

/** MPS of this machine through nvidia-cuda-mps-control: one daemon a device, in a directory of its own. */
export class LocalMpsControl implements MpsControl {
  readonly #deps: LocalMpsControlDeps;
  readonly #limits: ControlLimits;
  readonly #directories: DeviceDirectories;
  readonly #conversation: Conversation;
  readonly #granted = new LimitsMemory();
  /** As last seen. */
  readonly #servers = new Map<CudaDevice, readonly number[]>();
  readonly #daemons = new Map<CudaDevice, OwnProcess>();

  constructor(deps: LocalMpsControlDeps) {
    this.#deps = deps;
    this.#limits = { ...defaultLimits, ...deps.limits };
    this.#directories = new DeviceDirectories(deps.directory);
    this.#conversation = new Conversation(deps, this.#directories);
  }

  /** Commands that were given up and whose process is still there. */
  hungCommands(): number {
    return this.#conversation.hungCount;
  }

  async devices(): Promise<readonly CudaDevice[]> {
    const kept: CudaDevice[] = [];
    for (const device of await this.#directories.devices()) {
      const directory = this.#directories.of(device);
      // After a reboot nothing lives in what an earlier boot left, and its UUIDs may be those of other slices.
      if (daemonOf(directory) === undefined && serversOf(directory).length === 0)
        await this.#directories.remove(device).catch(() => undefined);
      else kept.push(device);
    }
    return kept;
  }

  async look(device: CudaDevice, signal: AbortSignal): Promise<MpsDaemonNow> {
    if (!(await this.#directories.exists(device))) return this.#forgotten(device);
    const daemon = daemonOf(this.#directories.of(device));
    if (daemon !== undefined) this.#daemons.set(device, daemon);
    try {
      const servers = await this.#serversNow(device, signal).catch((fault: unknown) => {
        // A server may have ended between the list and the questions about it.
        if (!(fault instanceof MpsFault && (fault.code === 'failed' || fault.code === 'unreadable-output'))) throw fault;
        return this.#serversNow(device, signal);
      });
      const pids = servers.map(({ pid }) => pid);
      this.#servers.set(device, pids);
      const name = daemon === undefined ? '' : `${daemon.pid} ${daemon.startTime}`;
      const limits = await this.#granted.granted(device, name, pids, (server) => this.#readLimits(device, server, signal));
      return { kind: 'running', limits, servers };
    } catch (fault) {
      if (!(fault instanceof MpsFault)) throw fault;
      if (daemonOf(this.#directories.of(device)) !== undefined) return { kind: 'unanswering', detail: fault.message };
      this.#forgotten(device);
      const orphans = serversOf(this.#directories.of(device)).map(({ pid }) => pid);
      this.#servers.set(device, orphans);
      return { kind: 'dead', servers: orphans };
    }
  }

  async start(device: CudaDevice, signal: AbortSignal): Promise<void> {
    await this.#directories.make(device);
    const output = await this.#conversation.run(device, ['-d'], '', this.#limits.startMs, signal, { CUDA_VISIBLE_DEVICES: device });
    if (output.exitCode !== 0 && !saysAlreadyRunning(output.text))
      throw new MpsFault('failed', '-d', await this.#whyNot(device, output.text));
    const { clock } = this.#deps;
    const deadlineMs = clock.elapsedMs() + this.#limits.startMs;
    for (;;) {
      try {
        await this.#ask(device, 'get_default_active_thread_percentage', signal);
        return;
      } catch (fault) {
        if (!(fault instanceof MpsFault) || fault.code !== 'no-daemon') throw fault;
        if (clock.elapsedMs() > deadlineMs)
          throw new MpsFault('no-daemon', '-d', await this.#whyNot(device, 'it started and does not answer'));
      }
      await clock.sleep(pollMs, signal);
    }
  }

  async setLimits(device: CudaDevice, limits: MpsLimits, signal: AbortSignal): Promise<void> {
    const { threadPercentage, memoryMiB } = limits;
    await this.#ask(device, `set_default_active_thread_percentage ${threadPercentage}`, signal);
    // The one device that a daemon sees is number 0 to it.
    if (memoryMiB !== undefined) await this.#ask(device, `set_default_device_pinned_mem_limit 0 ${memoryMiB}M`, signal);
    await this.#checkGranted(device, undefined, limits, signal);
    for (const server of await this.#serverPids(device, signal)) {
      await this.#ask(device, `set_active_thread_percentage ${server} ${threadPercentage}`, signal);
      if (memoryMiB !== undefined) await this.#ask(device, `set_device_pinned_mem_limit ${server} 0 ${memoryMiB}M`, signal);
      await this.#checkGranted(device, server, limits, signal);
    }
  }

  async stop(device: CudaDevice, signal: AbortSignal): Promise<void> {
    const daemon = daemonOf(this.#directories.of(device)) ?? this.#daemons.get(device);
    try {
      await this.#ask(device, 'quit', signal, this.#limits.quitMs);
    } catch (fault) {
      // What does not answer is ended as a process.
      if (!(fault instanceof MpsFault)) throw fault;
    }
    await this.#endAll(device, daemon === undefined ? [] : [daemon], signal);
    await this.clear(device, signal);
  }

  async clear(device: CudaDevice, signal: AbortSignal): Promise<void> {
    await this.#endAll(device, serversOf(this.#directories.of(device)), signal);
    await this.#directories.remove(device);
    this.#forgotten(device);
  }

  async terminateClient(device: CudaDevice, server: number, client: number, signal: AbortSignal): Promise<void> {
    const command = `terminate_client ${server} ${client}`;
    const answer = await this.#ask(device, command, signal, this.#limits.terminateMs);
    const code = parseCudaError(answer);
    if (code === undefined) throw new MpsFault('unreadable-output', command, answer);
    if (code !== 0) throw new MpsFault('failed', command, `CUDA error ${code}`);
  }

  clientEnvironment(device: CudaDevice, limits: MpsLimits): Readonly<Record<string, string>> {
    return {
      CUDA_MPS_PIPE_DIRECTORY: this.#directories.of(device),
      CUDA_MPS_ACTIVE_THREAD_PERCENTAGE: String(limits.threadPercentage),
      ...(limits.memoryMiB === undefined ? {} : { CUDA_MPS_PINNED_DEVICE_MEM_LIMIT: `0=${limits.memoryMiB}M` }),
    };
  }

  isAlive(device: CudaDevice): boolean {
    const known = this.#daemons.get(device) ?? daemonOf(this.#directories.of(device));
    return known === undefined ? this.#servers.has(device) : isAlive(known);
  }

  processesOf(device: CudaDevice): readonly number[] {
    const daemon = this.#daemons.get(device);
    return [...(daemon === undefined ? [] : [daemon.pid]), ...(this.#servers.get(device) ?? [])];
  }

  async #serversNow(device: CudaDevice, signal: AbortSignal): Promise<readonly MpsServerNow[]> {
    const servers: MpsServerNow[] = [];
    for (const pid of await this.#serverPids(device, signal)) {
      const state = parseServerState(await this.#ask(device, `get_server_status ${pid}`, signal));
      servers.push({ pid, state, clients: await this.#clientsOf(device, pid, signal) });
    }
    return servers;
  }

  async #serverPids(device: CudaDevice, signal: AbortSignal): Promise<readonly number[]> {
    const answer = await this.#ask(device, 'get_server_list', signal);
    const pids = parsePids(answer);
    if (pids === undefined) throw new MpsFault('unreadable-output', 'get_server_list', answer);
    return pids;
  }

  /** By the list, and by the table where the list cannot be read. */
  async #clientsOf(device: CudaDevice, server: number, signal: AbortSignal): Promise<readonly number[]> {
    const listed = await this.#ask(device, `get_client_list ${server}`, signal);
    const clients = parsePids(listed) ?? parseClientTable(await this.#ask(device, 'ps', signal), server);
    if (clients === undefined) throw new MpsFault('unreadable-output', `get_client_list ${server}`, listed);
    return clients;
  }

  /** What cannot be read, or is gone by now, is not known. */
  async #readLimits(device: CudaDevice, server: number | undefined, signal: AbortSignal): Promise<Partial<MpsLimits>> {
    const [of, suffix] = server === undefined ? ['default_', ''] : ['', ` ${server}`];
    const threadPercentage = parsePercentage(
      await this.#ask(device, `get_${of}active_thread_percentage${suffix}`, signal, undefined, true),
    );
    const memoryMiB = parseMemory(await this.#ask(device, `get_${of}device_pinned_mem_limit${suffix} 0`, signal, undefined, true));
    return { ...(threadPercentage === undefined ? {} : { threadPercentage }), ...(memoryMiB === undefined ? {} : { memoryMiB }) };
  }

  /** A set limit is believed unless the daemon says that it grants more: it may round down, and may print what is not understood. */
  async #checkGranted(device: CudaDevice, server: number | undefined, limits: MpsLimits, signal: AbortSignal): Promise<void> {
    const now = await this.#readLimits(device, server, signal);
    const over =
      (now.threadPercentage ?? 0) > limits.threadPercentage || (limits.memoryMiB !== undefined && (now.memoryMiB ?? 0) > limits.memoryMiB);
    if (over)
      throw new MpsFault(
        'failed',
        'set_default_active_thread_percentage',
        `it grants ${JSON.stringify(now)} after ${JSON.stringify(limits)}`,
      );
    this.#granted.set(device, server, limits);
  }

  #ask(device: CudaDevice, command: string, signal: AbortSignal, limitMs = this.#limits.askMs, lenient = false): Promise<string> {
    return this.#conversation.ask(device, command, signal, limitMs, lenient);
  }

  /** Asks processes of ours to end, then makes them. */
  async #endAll(device: CudaDevice, processes: readonly OwnProcess[], signal: AbortSignal): Promise<void> {
    if (await this.#areGone(processes, signal)) return;
    for (const how of ['SIGTERM', 'SIGKILL'] as const) {
      for (const one of processes) end(one, how);
      if (await this.#areGone(processes, signal)) return;
    }
    const left = processes.filter(isAlive).map(({ pid }) => pid);
    throw new MpsFault('failed', 'quit', `process ${left.join(', ')} of ${device} cannot be ended`);
  }

  async #areGone(processes: readonly OwnProcess[], signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#deps;
    const deadlineMs = clock.elapsedMs() + this.#limits.endMs;
    while (processes.some(isAlive)) {
      if (signal.aborted) throw signal.reason;
      if (clock.elapsedMs() > deadlineMs) return false;
      await clock.sleep(pollMs, signal);
    }
    return true;
  }

  async #whyNot(device: CudaDevice, otherwise: string): Promise<string> {
    return otherwise.trim() || (await this.#directories.lastWords(device)) || 'it said nothing';
  }

  #forgotten(device: CudaDevice): MpsDaemonNow {
    this.#granted.forget(device);
    this.#servers.delete(device);
    this.#daemons.delete(device);
    return { kind: 'absent' };
  }
}
