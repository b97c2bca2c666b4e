// Which GPUs reach each other over NVLink, and on which NUMA node each sits. It takes a command of its own that may be
// slow, so it is asked beside everything else and as seldom as can be; nothing waits for it.
import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { Clock } from '@astrago/shared/runtime/clock';
import { afterTable, nvlinkGroups, type TopologyRow } from '#core/topology/nvlink-groups';
import type { GpuTopology, NodeSnapshot, NodeState } from './node-state.ts';
import { DriverFault, type ObservedGpu } from './ports.ts';

/** The driver's table of all GPUs. */
export interface TopologyTable {
  /** Ends within the time limit of a query; throws {@link DriverFault}. */
  topology(signal: AbortSignal): Promise<readonly TopologyRow[]>;
}

/** The kernel's word, for what the driver does not tell. */
export interface NumaNodes {
  /** Absent: not known. Never throws. */
  of(pciBusId: string): Promise<number | undefined>;
}

export interface TopologySources {
  readonly table: TopologyTable;
  readonly numaNodes: NumaNodes;
}

/** What was learned, and why it is not all. */
export interface LearnedTopology {
  readonly byGpu: ReadonlyMap<GpuUuid, GpuTopology>;
  /** Of the table; empty where it could not be had before or now. */
  readonly rows: readonly TopologyRow[];
  readonly fault: DriverFault | undefined;
}

/** Throws only for `signal`. `before` is what earlier tables of the same GPUs have told. */
export async function learnTopology(
  gpus: readonly ObservedGpu[],
  { table, numaNodes }: TopologySources,
  signal: AbortSignal,
  before: readonly TopologyRow[] = [],
): Promise<LearnedTopology> {
  let rows = before;
  let fault: DriverFault | undefined;
  try {
    rows = afterTable(before, await table.topology(signal));
  } catch (thrown) {
    if (!(thrown instanceof DriverFault)) throw thrown;
    fault = thrown;
  }
  const groups = nvlinkGroups(rows);
  const found = await Promise.all(
    gpus.map(async ({ uuid, index, pciBusId }): Promise<readonly [GpuUuid, GpuTopology]> => {
      const told = rows.find((row) => row.index === index)?.numaNode;
      return [uuid, { nvlinkGroup: groups.get(index), numaNode: told ?? (await numaNodes.of(pciBusId)) }];
    }),
  );
  return { byGpu: new Map(found), rows, fault };
}

/** A table that could not be had is not asked for again so soon; least where it hung, for a change of mode waits that long. */
const restMs = { refused: 600_000, hung: 3_600_000 };

interface Taken {
  /** Driver and GPUs that it is of. A boot is the end of every agent. */
  readonly of: string;
  readonly rows: readonly TopologyRow[];
  /** GPUs that were in a table while not in MIG mode, which hides links. */
  readonly seenWhole: ReadonlySet<GpuUuid>;
  readonly notBeforeMs: number;
}

const nothing: Omit<Taken, 'of'> = { rows: [], seenWhole: new Set(), notBeforeMs: 0 };

export interface TopologyWatchDeps extends TopologySources {
  readonly state: NodeState;
  readonly clock: Clock;
  readonly log: (facts: object, message: string) => void;
}

/**
 * Takes the topology once for each driver and set of GPUs, and again for a GPU that leaves MIG mode for the first time. The
 * node's state keeps what is known; what is not stays absent there.
 */
export class TopologyWatch {
  readonly #deps: TopologyWatchDeps;
  #taken: Taken | undefined;

  constructor(deps: TopologyWatchDeps) {
    this.#deps = deps;
  }

  /** Until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    for await (const snapshot of this.#deps.state.inventory.watch(signal)) {
      await this.#consider(snapshot, signal).catch((failure: unknown) => {
        if (!signal.aborted) this.#deps.log({ failure: String(failure) }, 'looking how the GPUs are connected failed');
      });
    }
  }

  async #consider({ driverVersion, gpus }: NodeSnapshot, signal: AbortSignal): Promise<void> {
    const { state, clock, log } = this.#deps;
    if (gpus.length === 0) return;
    const of = [driverVersion, ...gpus.map(({ uuid, index }) => `${index} ${uuid}`)].join(', ');
    const before = this.#taken?.of === of ? this.#taken : nothing;
    const whole = gpus.filter(({ migEnabled }) => !migEnabled).map(({ uuid }) => uuid);
    const hasNews = before.rows.length === 0 || whole.some((uuid) => !before.seenWhole.has(uuid));
    if (!hasNews || clock.elapsedMs() < before.notBeforeMs) return;
    const { byGpu, rows, fault } = await learnTopology(gpus, this.#deps, signal, before.rows);
    this.#taken = {
      of,
      rows,
      seenWhole: fault === undefined ? new Set([...before.seenWhole, ...whole]) : before.seenWhole,
      notBeforeMs: fault === undefined ? 0 : clock.elapsedMs() + (isHang(fault) ? restMs.hung : restMs.refused),
    };
    if (fault !== undefined && before.notBeforeMs === 0)
      log({ code: fault.code, fault: fault.message }, 'the driver did not tell how its GPUs are connected');
    state.setTopology(byGpu);
  }
}

function isHang({ code }: DriverFault): boolean {
  return code === 'timed-out' || code === 'busy-with-hung-command';
}
