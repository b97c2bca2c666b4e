import type { MpsLimits } from '#core/sharing/mps-limits';
import type { MpsServerNow } from '#core/sharing/next-sharing-step';
import { type CudaDevice, MpsFault } from '../app/mps-control.ts';
import type { Conversation } from './conversation.ts';
import { parseClientTable, parseCudaError, parseMemory, parsePercentage, parsePids, parseServerState } from './parse-answers.ts';

/** What a running daemon is asked and told, in its own words. Everything throws `MpsFault`. */
export class DaemonCommands {
  readonly #conversation: Conversation;
  readonly #askMs: number;

  constructor(conversation: Conversation, askMs: number) {
    this.#conversation = conversation;
    this.#askMs = askMs;
  }

  /** Returns when it answers at all. */
  async greet(device: CudaDevice, signal: AbortSignal): Promise<void> {
    await this.#ask(device, 'get_default_active_thread_percentage', signal);
  }

  async servers(device: CudaDevice, signal: AbortSignal): Promise<readonly MpsServerNow[]> {
    const servers: MpsServerNow[] = [];
    for (const pid of await this.serverPids(device, signal)) {
      const state = await this.stateOf(device, pid, signal);
      servers.push({ pid, state, clients: await this.#clientsOf(device, pid, signal) });
    }
    return servers;
  }

  async stateOf(device: CudaDevice, server: number, signal: AbortSignal): Promise<MpsServerNow['state']> {
    return parseServerState(await this.#ask(device, `get_server_status ${server}`, signal));
  }

  async serverPids(device: CudaDevice, signal: AbortSignal): Promise<readonly number[]> {
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

  /** Of a server, or for those to come. What cannot be read, or is gone by now, is not known. */
  async limits(device: CudaDevice, server: number | undefined, signal: AbortSignal): Promise<Partial<MpsLimits>> {
    const [of, suffix] = server === undefined ? ['default_', ''] : ['', ` ${server}`];
    const read = (command: string): Promise<string> => this.#conversation.ask(device, command, signal, this.#askMs, true);
    const threadPercentage = parsePercentage(await read(`get_${of}active_thread_percentage${suffix}`));
    const memoryMiB = parseMemory(await read(`get_${of}device_pinned_mem_limit${suffix} 0`));
    return { ...(threadPercentage === undefined ? {} : { threadPercentage }), ...(memoryMiB === undefined ? {} : { memoryMiB }) };
  }

  /** A set limit is believed unless the daemon says that it grants more: it may round down, and may print what is not understood. */
  async setLimits(device: CudaDevice, server: number | undefined, limits: MpsLimits, signal: AbortSignal): Promise<void> {
    const { threadPercentage, memoryMiB } = limits;
    const [of, prefix] = server === undefined ? ['default_', ''] : ['', `${server} `];
    await this.#ask(device, `set_${of}active_thread_percentage ${prefix}${threadPercentage}`, signal);
    // The one device that a daemon sees is number 0 to it.
    if (memoryMiB !== undefined) await this.#ask(device, `set_${of}device_pinned_mem_limit ${prefix}0 ${memoryMiB}M`, signal);
    const now = await this.limits(device, server, signal);
    if ((now.threadPercentage ?? 0) > threadPercentage || (memoryMiB !== undefined && (now.memoryMiB ?? 0) > memoryMiB))
      throw new MpsFault('failed', `set_${of}active_thread_percentage`, `it grants ${JSON.stringify(now)} after ${JSON.stringify(limits)}`);
  }

  async terminateClient(device: CudaDevice, server: number, client: number, limitMs: number, signal: AbortSignal): Promise<void> {
    const command = `terminate_client ${server} ${client}`;
    const answer = await this.#ask(device, command, signal, limitMs);
    const code = parseCudaError(answer);
    if (code === undefined) throw new MpsFault('unreadable-output', command, answer);
    if (code !== 0) throw new MpsFault('failed', command, `CUDA error ${code}`);
  }

  async quit(device: CudaDevice, limitMs: number, signal: AbortSignal): Promise<void> {
    await this.#ask(device, 'quit', signal, limitMs);
  }

  #ask(device: CudaDevice, command: string, signal: AbortSignal, limitMs = this.#askMs): Promise<string> {
    return this.#conversation.ask(device, command, signal, limitMs);
  }
}
