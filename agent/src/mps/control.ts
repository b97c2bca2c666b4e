import { readFileSync } from 'node:fs';
import type { MpsLimits } from '#core/sharing/mps-limits';
import type { MpsDaemonNow, MpsServerNow } from '#core/sharing/next-sharing-step';
import { type CudaDevice, type MpsControl, MpsFault } from '../app/mps-control.ts';
import { Conversation, type ConversationDeps } from './conversation.ts';
import { DaemonCommands } from './daemon-commands.ts';
import { daemonOf, isAlive, type OwnProcess, serversOf } from './daemon-processes.ts';
import { DeviceDirectories } from './device-directory.ts';
import { endProcesses } from './end-processes.ts';
import { LastAnswers, signsOf } from './last-answers.ts';
import { LimitsMemory } from './limits-memory.ts';
import { saysAlreadyRunning } from './parse-answers.ts';

export interface ControlLimits {
  readonly askMs: number;
  /** From starting a daemon until it answers. */
  readonly startMs: number;
  readonly terminateMs: number;
  readonly quitMs: number;
  /** From a signal to a process of ours until the next, harder one. */
  readonly endMs: number;
  /** A daemon of which nothing seems to have changed is asked all the same when its last answer is older. */
  readonly answerAgeMs: number;
  /** Its servers are asked for their state when that is older: a fatal fault may show nowhere else. */
  readonly stateAgeMs: number;
}

const defaultLimits: ControlLimits = {
  askMs: 10_000,
  startMs: 15_000,
  terminateMs: 5000,
  quitMs: 15_000,
  endMs: 3000,
  answerAgeMs: 30_000,
  // Far below the time from look to look: only looks in quick succession do without.
  stateAgeMs: 1000,
};
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
  readonly #commands: DaemonCommands;
  readonly #last: LastAnswers;
  readonly #granted = new LimitsMemory();
  /** As last seen. */
  readonly #servers = new Map<CudaDevice, readonly number[]>();
  readonly #daemons = new Map<CudaDevice, OwnProcess>();

  constructor(deps: LocalMpsControlDeps) {
    this.#deps = deps;
    this.#limits = { ...defaultLimits, ...deps.limits };
    this.#directories = new DeviceDirectories(deps.directory);
    this.#conversation = new Conversation(deps, this.#directories);
    this.#commands = new DaemonCommands(this.#conversation, this.#limits.askMs);
    this.#last = new LastAnswers(deps.clock, this.#limits.answerAgeMs);
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

  async look(device: CudaDevice, signal: AbortSignal, how: 'cheap' | 'fresh' = 'cheap'): Promise<MpsDaemonNow> {
    if (!(await this.#directories.exists(device))) return this.#forgotten(device);
    const directory = this.#directories.of(device);
    const last = how === 'cheap' ? this.#last.get(device, directory) : undefined;
    if (last !== undefined && (await this.#areWell(device, last.servers, signal))) return last;
    const daemon = daemonOf(directory);
    if (daemon !== undefined) this.#daemons.set(device, daemon);
    try {
      const seen = signsOf(directory);
      const servers = await this.#commands.servers(device, signal).catch((fault: unknown) => {
        // A server may have ended between the list and the questions about it.
        if (!(fault instanceof MpsFault && (fault.code === 'failed' || fault.code === 'unreadable-output'))) throw fault;
        return this.#commands.servers(device, signal);
      });
      const pids = servers.map(({ pid }) => pid);
      this.#servers.set(device, pids);
      const name = daemon === undefined ? '' : `${daemon.pid} ${daemon.startTime}`;
      const limits = await this.#granted.granted(device, name, pids, (server) => this.#commands.limits(device, server, signal));
      const answer = { kind: 'running' as const, limits, servers };
      this.#last.set(device, seen, answer);
      return answer;
    } catch (fault) {
      if (!(fault instanceof MpsFault)) throw fault;
      this.#last.forget(device);
      if (daemonOf(directory) !== undefined) return { kind: 'unanswering', detail: fault.message };
      this.#forgotten(device);
      const orphans = serversOf(directory).map(({ pid }) => pid);
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
        await this.#commands.greet(device, signal);
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
    this.#last.forget(device);
    const set = async (server: number | undefined): Promise<void> => {
      await this.#commands.setLimits(device, server, limits, signal);
      this.#granted.set(device, server, limits);
    };
    await set(undefined);
    for (const server of await this.#commands.serverPids(device, signal)) await set(server);
  }

  async stop(device: CudaDevice, signal: AbortSignal): Promise<void> {
    this.#last.forget(device);
    const daemon = daemonOf(this.#directories.of(device)) ?? this.#daemons.get(device);
    try {
      await this.#commands.quit(device, this.#limits.quitMs, signal);
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
    this.#last.forget(device);
    await this.#commands.terminateClient(device, server, client, this.#limits.terminateMs, signal);
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

  programOf(pid: number): string | undefined {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0] || undefined;
    } catch {
      return undefined;
    }
  }

  /** Servers without clients have nothing that could fault. */
  async #areWell(device: CudaDevice, servers: readonly MpsServerNow[], signal: AbortSignal): Promise<boolean> {
    if (this.#last.stateAgeMs(device) < this.#limits.stateAgeMs) return true;
    try {
      for (const { pid, clients } of servers)
        if (clients.length > 0 && (await this.#commands.stateOf(device, pid, signal)) !== 'active') return false;
    } catch (fault) {
      if (!(fault instanceof MpsFault)) throw fault;
      return false;
    }
    this.#last.areWell(device);
    return true;
  }

  async #endAll(device: CudaDevice, processes: readonly OwnProcess[], signal: AbortSignal): Promise<void> {
    const { endMs } = this.#limits;
    const left = await endProcesses(processes, { clock: this.#deps.clock, endMs }, signal);
    if (left.length > 0) throw new MpsFault('failed', 'quit', `process ${left.join(', ')} of ${device} cannot be ended`);
  }

  async #whyNot(device: CudaDevice, otherwise: string): Promise<string> {
    return otherwise.trim() || (await this.#directories.lastWords(device)) || 'it said nothing';
  }

  #forgotten(device: CudaDevice): MpsDaemonNow {
    this.#last.forget(device);
    this.#granted.forget(device);
    this.#servers.delete(device);
    this.#daemons.delete(device);
    return { kind: 'absent' };
  }
}
