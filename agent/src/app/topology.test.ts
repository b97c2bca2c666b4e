import { type GpuUuid, parseGpuUuid } from '@astrago/shared/domain/ids';
import { describe, expect, it } from 'vitest';
import type { TopologyRow } from '#core/topology/nvlink-groups';
import { VirtualClock } from '../testing/virtual-clock.ts';
import { NodeState } from './node-state.ts';
import { DriverFault, type ObservedGpu } from './ports.ts';
import { TopologyWatch } from './topology.ts';

function uuid(index: number): GpuUuid {
  const parsed = parseGpuUuid(`GPU-0000000${index}-0000-0000-0000-000000000000`);
  if (parsed === undefined) throw new Error('not a UUID');
  return parsed;
}

function gpu(index: number, migEnabled = false): ObservedGpu {
  const named = { uuid: uuid(index), index, model: 'H100', pciBusId: `00000000:0${index}:00.0`, memoryMiB: 81559 };
  return { ...named, migCapable: true, migEnabled, migPending: undefined, profiles: [], slices: [] };
}

const linked: readonly TopologyRow[] = [
  { index: 0, nvlinks: [1], numaNode: 0 },
  { index: 1, nvlinks: [0], numaNode: undefined },
];
const apart: readonly TopologyRow[] = linked.map((row) => ({ ...row, nvlinks: [] }));
const hang = new DriverFault('timed-out', { command: ['topo', '-m'] });
const refusal = new DriverFault('failed', { command: ['topo', '-m'] });

/** A machine whose driver answers with what `table` gives. */
class Machine implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly state = new NodeState(() => 1);
  readonly told: string[] = [];
  asked = 0;
  table: () => Promise<readonly TopologyRow[]> = () => Promise.resolve(linked);
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;

  constructor() {
    const table = {
      topology: (signal: AbortSignal) => {
        this.asked += 1;
        const aborted = new Promise<never>((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        });
        return Promise.race([this.table(), aborted]);
      },
    };
    const numaNodes = { of: (busId: string) => Promise.resolve(busId.includes(':01:') ? 3 : undefined) };
    const log = (_facts: object, message: string): void => void this.told.push(message);
    this.#running = new TopologyWatch({ table, numaNodes, state: this.state, clock: this.clock, log }).run(this.#ending.signal);
  }

  async lists(gpus: readonly ObservedGpu[], driverVersion = '590.48.01'): Promise<void> {
    this.state.setAll(driverVersion, gpus, this.state.moment);
    await this.clock.passUntil(this.clock.elapsedMs() + 1);
  }

  get groups(): readonly (number | undefined)[] | undefined {
    return this.state.inventory.current?.gpus.map(({ nvlinkGroup }) => nvlinkGroup);
  }

  get nodes(): readonly (number | undefined)[] | undefined {
    return this.state.inventory.current?.gpus.map(({ numaNode }) => numaNode);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }
}

describe('how GPUs are connected', () => {
  it('is asked once for all listings of the same GPUs, and the kernel tells what the driver does not', async () => {
    await using machine = new Machine();
    for (let times = 0; times < 5; times += 1) await machine.lists([gpu(0), gpu(1)]);
    expect([machine.groups, machine.nodes, machine.asked, machine.told]).toEqual([[0, 0], [0, 3], 1, []]);
  });

  it('is asked again of another driver and of other GPUs', async () => {
    await using machine = new Machine();
    await machine.lists([gpu(0), gpu(1)]);
    await machine.lists([gpu(0), gpu(1)], '595.71.05');
    expect(machine.asked).toBe(2);
    machine.table = () => Promise.resolve([...linked, { index: 2, nvlinks: [], numaNode: 1 }]);
    await machine.lists([gpu(0), gpu(1), gpu(2)], '595.71.05');
    expect([machine.groups, machine.asked]).toEqual([[0, 0, undefined], 3]);
  });

  it('is learned of a GPU as soon as it leaves MIG mode, and stays known when it goes back', async () => {
    await using machine = new Machine();
    machine.table = () => Promise.resolve(apart);
    await machine.lists([gpu(0), gpu(1, true)]);
    expect(machine.groups).toEqual([undefined, undefined]);
    machine.table = () => Promise.resolve(linked);
    await machine.lists([gpu(0), gpu(1)]);
    expect(machine.groups).toEqual([0, 0]);
    machine.table = () => Promise.resolve(apart);
    await machine.lists([gpu(0), gpu(1, true)]);
    await machine.lists([gpu(0), gpu(1)]);
    expect([machine.groups, machine.asked]).toEqual([[0, 0], 2]);
  });

  it.each([
    ['refuses, and is asked again ten minutes later', refusal, 600_000],
    ['hung, and is asked again an hour later', hang, 3_600_000],
  ])('stays absent where the driver %s', async (_what, fault, restMs) => {
    await using machine = new Machine();
    machine.table = () => Promise.reject(fault);
    await machine.lists([gpu(0), gpu(1)]);
    await machine.lists([gpu(0), gpu(1)]);
    expect([machine.groups, machine.nodes, machine.asked]).toEqual([[undefined, undefined], [undefined, 3], 1]);
    await machine.clock.passUntil(restMs - 1000);
    await machine.lists([gpu(0), gpu(1)]);
    expect(machine.asked).toBe(1);
    await machine.clock.passUntil(restMs + 1000);
    await machine.lists([gpu(0), gpu(1)]);
    expect([machine.asked, machine.told]).toEqual([2, ['the driver did not tell how its GPUs are connected']]);
    machine.table = () => Promise.resolve(linked);
    await machine.clock.passUntil(3 * restMs);
    await machine.lists([gpu(0), gpu(1)]);
    expect(machine.groups).toEqual([0, 0]);
  });

  it('keeps nothing waiting while the driver does not answer, nor the end', async () => {
    await using machine = new Machine();
    machine.table = () => new Promise(() => undefined);
    await machine.lists([gpu(0)]);
    await machine.lists([gpu(0), gpu(1)]);
    expect([machine.groups, machine.asked]).toEqual([[undefined, undefined], 1]);
  });

  it('is not asked where there is no GPU', async () => {
    await using machine = new Machine();
    await machine.lists([]);
    expect(machine.asked).toBe(0);
  });
});
