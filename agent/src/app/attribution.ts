import type { Order } from '#core/order';
import type { AttributedProcess } from './node-state.ts';
import type { Launched, ObservedProcess, ProcessLauncher } from './ports.ts';

/** Where a process is, by its control groups; both absent outside containers. */
export interface CgroupPlace {
  /** As Kubernetes writes it; of a static pod 32 digits without dashes. */
  readonly podUid: string | undefined;
  /** 64 hexadecimal digits. */
  readonly containerId: string | undefined;
}

/** What the system says of one process. */
export interface ProcessFacts {
  /** With the pid an identity within one boot. Clock ticks since boot. */
  readonly startTime: string;
}

/** The processes of this machine, as the system shows them; nothing here throws. */
export interface ProcessInspector {
  /** `undefined` when there is no such process, or it is in a pid namespace that is not to be seen from here. */
  facts(pid: number): ProcessFacts | undefined;
  place(pid: number): Promise<CgroupPlace>;
}

export interface AttributionDeps {
  readonly inspector: ProcessInspector;
  readonly launcher: Pick<ProcessLauncher, 'pidsByAllocation' | 'launched'>;
  readonly order: () => Order;
}

interface Known {
  readonly place: CgroupPlace;
  /** A container's first process is moved into its group after it has started, so an empty answer is asked for again. */
  readonly looks: number;
}

const looksMax = 3;
const serverName = /(^|\/)nvidia-cuda-mps-server$/;

/**
 * Says of each process on a GPU whose it is: the allocation that explains it with its workload, the pod and container
 * it is in, and its part in MPS. A pid alone identifies nothing: what is remembered is remembered by pid and start
 * time, for as long as the process is listed.
 */
export class Attribution {
  readonly #deps: AttributionDeps;
  #known = new Map<string, Known>();
  #launched = new Map<string, Launched>();

  constructor(deps: AttributionDeps) {
    this.#deps = deps;
  }

  /**
   * @param seen as just listed. A number may have gone to another process since, for this once: whoever acts on an
   * answer waits for the next one, in which that process is not listed any more.
   */
  async attribute(seen: readonly ObservedProcess[]): Promise<readonly AttributedProcess[]> {
    const owners = ownersOf(await this.#deps.launcher.pidsByAllocation());
    const before = { known: this.#known, launched: this.#launched };
    this.#known = new Map();
    this.#launched = new Map();
    const attributed: AttributedProcess[] = [];
    // One after the other: a process is listed once for each of its GPUs, and is looked up once.
    for (const process of seen) attributed.push(await this.#one(process, owners.get(process.pid), before));
    return attributed;
  }

  async #one(
    process: ObservedProcess,
    allocation: string | undefined,
    before: { readonly known: ReadonlyMap<string, Known>; readonly launched: ReadonlyMap<string, Launched> },
  ): Promise<AttributedProcess> {
    const facts = this.#deps.inspector.facts(process.pid);
    const work = allocation === undefined ? undefined : await this.#work(allocation, before.launched);
    // It has ended since it was listed, or is not to be seen: then the driver's word is all there is.
    if (facts === undefined) return { ...process, allocation, ...work };
    const key = `${process.pid} ${facts.startTime}`;
    const known = await this.#place(process.pid, key, before.known);
    // Had another process got the number meanwhile, the place would be that one's.
    const { podUid, containerId } = this.#deps.inspector.facts(process.pid)?.startTime === facts.startTime ? known.place : nowhere;
    return { ...process, allocation, startTime: facts.startTime, podUid, containerId, mpsRole: roleOf(process, work?.devices), ...work };
  }

  async #place(pid: number, key: string, before: ReadonlyMap<string, Known>): Promise<Known> {
    const now = this.#known.get(key);
    if (now !== undefined) return now;
    const old = before.get(key);
    const settled = old !== undefined && (old.place.podUid !== undefined || old.place.containerId !== undefined || old.looks >= looksMax);
    const known = settled ? old : { place: await this.#deps.inspector.place(pid), looks: (old?.looks ?? 0) + 1 };
    this.#known.set(key, known);
    return known;
  }

  /** The order names what it wants; of what still runs though no order names it any more, the launcher knows. */
  async #work(id: string, before: ReadonlyMap<string, Launched>): Promise<Work> {
    const launched = this.#launched.get(id) ?? before.get(id) ?? (await this.#deps.launcher.launched(id));
    if (launched !== undefined) this.#launched.set(id, launched);
    const ordered = this.#deps.order().allocations.find((allocation) => allocation.id === id);
    return {
      workload: ordered?.workload ?? launched?.workload,
      workspace: ordered?.workspace ?? launched?.environment['ASTRAGO_WORKSPACE'],
      devices: launched?.devices ?? ordered?.devices,
    };
  }
}

type Work = Pick<AttributedProcess, 'workload' | 'workspace' | 'devices'>;

const nowhere: CgroupPlace = { podUid: undefined, containerId: undefined };

/** On a whole GPU the driver may list the server alone; where it lists clients it marks them. */
function roleOf(process: ObservedProcess, devices: AttributedProcess['devices']): AttributedProcess['mpsRole'] {
  if (process.type === 'mps-server' || serverName.test(process.name)) return 'server';
  const shared = devices?.some(({ gpu, share }) => gpu === process.gpuUuid && share?.kind === 'mps') === true;
  return shared || process.type === 'mps-client' ? 'client' : undefined;
}

function ownersOf(pids: ReadonlyMap<string, readonly number[]>): ReadonlyMap<number, string> {
  return new Map([...pids].flatMap(([allocation, members]) => members.map((pid) => [pid, allocation] as const)));
}
