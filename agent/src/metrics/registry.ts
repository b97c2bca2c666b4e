import type { Clock } from '@astrago/shared/runtime/clock';
import type { Latest } from '@astrago/shared/runtime/latest';
import type { Order } from '#core/order';
import type { HostSample } from '../app/host-telemetry.ts';
import type { NodeSnapshot, NodeState } from '../app/node-state.ts';
import { Collectors, type TelemetryHealth } from '../app/telemetry-status.ts';
import { describeAgent, type HungCommands } from './agent-series.ts';
import { describeAllocations, type MpsDaemon, type PlacedProcess } from './allocation-series.ts';
import { CommandCounts, type CommandSample } from './command-counts.ts';
import { type Compatibility, describeCompatibility } from './compatibility.ts';
import { Exposition } from './exposition.ts';
import { Freshness } from './freshness.ts';
import { describeConditions, describeGpus, freshView, type Periods } from './gpu-series.ts';
import { describeHost } from './host-series.ts';
import { describeXids } from './xid-series.ts';

export interface AgentMetricsDeps {
  readonly node: string;
  readonly version: string;
  readonly state: NodeState;
  readonly clock: Clock;
  readonly periodsMs: Periods;
  readonly order: () => Order;
  readonly collectors?: Collectors;
  /** `undefined` before collecting was begun. */
  readonly telemetry?: () => TelemetryHealth | undefined;
  /** Commands that were given up and are still there, by tool. */
  readonly hung?: () => HungCommands;
  /** Absent where the host is not measured. */
  readonly host?: Latest<HostSample> | undefined;
  /** Absent: our own names alone. */
  readonly compatibility?: Compatibility | undefined;
}

/** Two scrapes of a usual scraper are not further apart. */
const scrapedLatelyMs = 120_000;

/**
 * The agent's metrics, made from what the loops know; a scrape never asks the driver. A GPU or slice that is gone has
 * no series at the next scrape, a value that was not measured has none, and what is older than three periods is left out.
 * What describes devices is printed once for each change and kept as bytes, however many ask.
 */
export class AgentMetrics {
  readonly #deps: AgentMetricsDeps;
  readonly #collectors: Collectors;
  readonly #commands = new CommandCounts();
  #scrapedAtMs = Number.NEGATIVE_INFINITY;
  #printed: { readonly of: readonly unknown[]; readonly freshness: Freshness; readonly bytes: Buffer } | undefined;

  constructor(deps: AgentMetricsDeps) {
    this.#deps = deps;
    this.#collectors = deps.collectors ?? new Collectors(deps.clock);
  }

  onCommand(sample: CommandSample): void {
    this.#commands.add(sample);
  }

  /** Whether the GPUs were listed at least once. */
  get ready(): boolean {
    return (this.#deps.state.inventory.current?.observedAtMs ?? 0) > 0;
  }

  /**
   * Prints what describes devices as soon as it changes, so that no scrape waits for it; while nobody scrapes it is left.
   * Runs until the signal is aborted.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { state, clock } = this.#deps;
    const follow = async (latest: Latest<unknown>): Promise<void> => {
      for await (const _ of latest.watch(signal)) if (clock.elapsedMs() - this.#scrapedAtMs < scrapedLatelyMs) this.#devices();
    };
    await Promise.all([state.samples, state.slices, state.processes, state.inventory, state.allocations].map(follow));
  }

  /** The exposition, in UTF-8. */
  bytes(): Buffer {
    const { version, telemetry, clock, hung } = this.#deps;
    this.#scrapedAtMs = clock.elapsedMs();
    const own = new Exposition();
    describeAgent(own, { version, collectors: this.#collectors, telemetry: telemetry?.(), hung: hung?.() ?? {} });
    this.#commands.describe(own);
    return Buffer.concat([Buffer.from(own.text()), this.#devices()]);
  }

  #devices(): Buffer {
    const { state, order, host } = this.#deps;
    const nowMs = this.#deps.clock.nowMs();
    const { inventory, samples, slices, processes, allocations, xids, kernelLog } = state;
    const of = [...[inventory, samples, slices, processes, allocations, xids, kernelLog, host].map((latest) => latest?.current), order()];
    const before = this.#printed;
    if (before?.freshness.holdsAt(nowMs) === true && before.of.every((value, index) => value === of[index])) return before.bytes;
    const freshness = new Freshness(nowMs);
    const bytes = Buffer.from(this.#print(freshness));
    this.#printed = { of, freshness, bytes };
    return bytes;
  }

  #print(freshness: Freshness): string {
    const { state, node, periodsMs, compatibility } = this.#deps;
    const out = new Exposition();
    const view = freshView(state, freshness, periodsMs);
    const listed = state.processes.current;
    const processes: readonly PlacedProcess[] | undefined =
      listed !== undefined && freshness.isFresh(listed.atMs, periodsMs.detail) ? listed.processes : undefined;
    const inventory: (NodeSnapshot & WithMps) | undefined = state.inventory.current;
    describeGpus(out, node, view);
    describeConditions(out, node, inventory);
    describeXids(out, state.xids.current ?? [], state.kernelLog.current);
    describeAllocations(out, {
      allocations: state.allocations.current ?? [],
      order: this.#deps.order(),
      gpus: view.gpus,
      processes,
      mpsDaemons: [...(inventory?.mpsDaemons?.values() ?? [])].flat(),
    });
    const host = this.#deps.host?.current;
    if (host !== undefined && freshness.isFresh(host.atMs, periodsMs.host)) describeHost(out, host);
    if (compatibility !== undefined) {
      const { hostnameLabel } = compatibility;
      const log = state.kernelLog.current;
      const xids = log?.kind === 'readable' ? (state.xids.current ?? []) : undefined;
      describeCompatibility(out, { node, hostnameLabel, view, processes, xids });
    }
    return out.text();
  }
}

/** By GPU; absent where there is none. */
interface WithMps {
  readonly mpsDaemons?: ReadonlyMap<string, readonly MpsDaemon[]>;
}
