import type { MpsLimits } from '#core/sharing/mps-limits';

type Limits = Partial<MpsLimits>;

interface Known {
  /** Of the daemon that it is known of: another one has its defaults again. */
  readonly daemon: string;
  default: Limits;
  readonly servers: Map<number, Limits>;
}

/** What was read or set of the limits of daemons and servers, so that it is not asked at each look. */
export class LimitsMemory {
  readonly #known = new Map<string, Known>();

  /** What it and each of its servers grant; a part in which they differ is absent. Reads only what is not known yet. */
  async granted(
    device: string,
    daemon: string,
    servers: readonly number[],
    read: (server: number | undefined) => Promise<Limits>,
  ): Promise<Limits> {
    let known = this.#known.get(device);
    if (known?.daemon !== daemon) {
      known = { daemon, default: await read(undefined), servers: new Map() };
      this.#known.set(device, known);
    }
    for (const pid of [...known.servers.keys()]) if (!servers.includes(pid)) known.servers.delete(pid);
    for (const pid of servers) if (!known.servers.has(pid)) known.servers.set(pid, await read(pid));
    return [...known.servers.values()].reduce<Limits>(
      (all, one) => ({
        ...(all.threadPercentage === one.threadPercentage ? { threadPercentage: one.threadPercentage } : {}),
        ...(all.memoryMiB === one.memoryMiB ? { memoryMiB: one.memoryMiB } : {}),
      }),
      known.default,
    );
  }

  set(device: string, server: number | undefined, limits: MpsLimits): void {
    const known = this.#known.get(device);
    if (known === undefined) return;
    if (server === undefined) known.default = { ...known.default, ...limits };
    else known.servers.set(server, { ...known.servers.get(server), ...limits });
  }

  forget(device: string): void {
    this.#known.delete(device);
  }
}
