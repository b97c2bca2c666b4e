import type { ChildProcess } from 'node:child_process';
import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { WantedSlice } from '@astrago/shared/domain/mig/slice';
import { type Clock, systemClock } from '@astrago/shared/runtime/clock';
import type { ComputeModes } from '../app/compute-modes.ts';
import { DriverFault, type GpuDriver, type ModeChange, type ObservedGpu, type ObservedNode, type ObservedProcess } from '../app/ports.ts';
import type { TelemetrySource } from '../app/telemetry-source.ts';
import type { TopologyTable } from '../app/topology.ts';
import { allOrEach } from './all-or-each.ts';
import { askLog } from './ask-log.ts';
import { Asking, type CommandObservation, isHang } from './asking.ts';
import { type CommandLimits, defaultLimits } from './command.ts';
import { changeComputeMode, readComputeMode } from './compute-mode.ts';
import { loggedProcesses } from './device-processes.ts';
import { FieldBook } from './field-book.ts';
import { Looking } from './looking.ts';
import { parseTopology } from './parse-topology.ts';
import { oneGpu } from './scope.ts';
import { createTelemetry, type TelemetryMoment, type TelemetryOptions, takeMoment } from './telemetry.ts';

export interface SmiDriverOptions {
  /** Path or name of nvidia-smi. */
  readonly program: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly clock?: Clock;
  readonly limits?: Partial<CommandLimits>;
  readonly onCommand?: (observation: CommandObservation) => void;
  /** Told of each reset that was done. Must not throw. */
  readonly onReset?: (gpu: GpuUuid) => void;
  /** How a command past its limit is ended; SIGKILL unless a test plays a child that cannot be killed. */
  readonly kill?: (child: ChildProcess) => void;
}

/** A tool of the system needs no more of an environment than where the others are. */
const defaultEnvironment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };

export interface SmiDriver extends GpuDriver, ComputeModes, TopologyTable {
  /** Commands that were given up and whose process is still there. */
  hungCommands(): number;
  /** Long-running readers of the same driver, which step aside for its changes. */
  telemetry(options: TelemetryOptions): TelemetrySource;
  /** The same once, for a program that does not stay. Rejects only when `signal` is aborted. */
  telemetryOnce(signal: AbortSignal): Promise<TelemetryMoment>;
}

/**
 * The GPUs of this machine through nvidia-smi. An aborted `signal` makes a method reject with the signal's reason;
 * everything else it rejects with is a {@link DriverFault}. A listing leaves out a GPU of which nothing can be had while
 * others answer; {@link GpuDriver.observeGpu} says why. One whose slices or profiles cannot be listed is in it, and says so.
 */
export function createSmiDriver(options: SmiDriverOptions): SmiDriver {
  const asking = new Asking({
    around: {
      program: options.program,
      environment: options.environment ?? defaultEnvironment,
      limits: { ...defaultLimits, ...options.limits },
      clock: options.clock ?? systemClock,
      kill:
        options.kill ??
        ((child) => {
          child.kill('SIGKILL');
        }),
    },
    onCommand: options.onCommand ?? (() => undefined),
  });
  return new Driver(asking, options.onReset ?? (() => undefined));
}

class Driver implements SmiDriver {
  readonly #asking: Asking;
  readonly #fields: FieldBook;
  readonly #looking: Looking;
  readonly #onReset: (gpu: GpuUuid) => void;
  /** From the last listing of all GPUs that worked. */
  #known: ReadonlyMap<GpuUuid, number> = new Map();

  constructor(asking: Asking, onReset: (gpu: GpuUuid) => void) {
    this.#asking = asking;
    this.#onReset = onReset;
    this.#fields = new FieldBook(asking);
    this.#looking = new Looking(asking, this.#fields);
  }

  telemetry(options: TelemetryOptions): TelemetrySource {
    return createTelemetry({ ...options, asking: this.#asking, fields: this.#fields, known: () => this.#known });
  }

  hungCommands(): number {
    return this.#asking.hungCount;
  }

  telemetryOnce(signal: AbortSignal): Promise<TelemetryMoment> {
    return takeMoment({ asking: this.#asking, fields: this.#fields, known: () => this.#known }, signal);
  }

  async observe(signal: AbortSignal): Promise<ObservedNode> {
    const seen = await allOrEach(
      this.#known,
      async (scope) => {
        const gpus = await this.#looking.gpus(scope, signal);
        if (scope.gpu === 'all') this.#known = new Map(gpus.map(({ gpu }) => [gpu.uuid, gpu.index]));
        return gpus;
      },
      (own, gpu) => own.gpu.uuid === gpu,
    );
    return { driverVersion: seen[0]?.facts.driverVersion, gpus: seen.map((own) => own.gpu) };
  }

  async observeGpu(gpu: GpuUuid, signal: AbortSignal): Promise<ObservedGpu> {
    const found = (await this.#looking.gpus(oneGpu(gpu), signal)).find((own) => own.gpu.uuid === gpu)?.gpu;
    if (found === undefined) throw notListed(gpu);
    // What is cut is decided on this listing.
    const short = found.shortfall?.faults.find(
      (fault) => fault.code === 'gpu-lost' || isHang(fault) || found.shortfall?.unplaced !== undefined,
    );
    if (short !== undefined) throw short;
    return found;
  }

  async observeProcesses(signal: AbortSignal): Promise<readonly ObservedProcess[]> {
    const logged = await allOrEach(
      this.#known,
      async (scope) => (await askLog(this.#asking, scope, signal)).gpus,
      (own, gpu) => own.uuid === gpu,
    );
    return loggedProcesses(logged);
  }

  topology(signal: AbortSignal): ReturnType<TopologyTable['topology']> {
    return this.#asking.ask({ args: ['topo', '-m'], gpu: 'all', read: parseTopology }, signal);
  }

  async setMigMode(gpu: GpuUuid, enabled: boolean, signal: AbortSignal): Promise<ModeChange> {
    const args = ['-i', gpu, '-mig', enabled ? '1' : '0'];
    const verdict = await this.#asking.change({ args, gpu, kind: 'mutate', alone: true }, signal);
    // What it printed is not what happened: `All done.` ends a pending change too.
    const facts = (await this.#looking.facts(oneGpu(gpu), signal)).find((own) => own.uuid === gpu);
    if (facts === undefined) throw notListed(gpu);
    const current = facts.migMode === (enabled ? 'enabled' : 'disabled');
    if (current && facts.migPending === undefined) return 'done';
    if (!current && (facts.migPending === enabled || verdict === 'pending')) return 'pending';
    throw new DriverFault('failed', { command: args, output: `the mode stayed ${facts.migMode}` });
  }

  computeMode(gpu: GpuUuid, signal: AbortSignal): ReturnType<ComputeModes['computeMode']> {
    return readComputeMode(this.#asking, gpu, signal);
  }

  setComputeMode(gpu: GpuUuid, mode: Parameters<ComputeModes['setComputeMode']>[1], signal: AbortSignal): Promise<void> {
    return changeComputeMode(this.#asking, gpu, mode, signal);
  }

  async resetGpu(gpu: GpuUuid, signal: AbortSignal): Promise<void> {
    await this.#asking.change({ args: ['-i', gpu, '--gpu-reset'], gpu, kind: 'reset', alone: true }, signal);
    this.#onReset(gpu);
  }

  async createSlice(gpu: GpuUuid, slice: WantedSlice, signal: AbortSignal): Promise<void> {
    const id = await this.#looking.profileId(oneGpu(gpu), gpu, slice.profile, signal);
    if (id === undefined) throw new DriverFault('unknown-profile', { command: ['mig', '-i', gpu, '-cgi', slice.profile] });
    await this.#mutate(gpu, ['-cgi', `${id}:${slice.start}`, '-C'], signal);
  }

  async completeSlice(gpu: GpuUuid, gpuInstanceId: number, signal: AbortSignal): Promise<void> {
    await this.#mutate(gpu, ['-gi', String(gpuInstanceId), '-cci'], signal);
  }

  async destroySlice(gpu: GpuUuid, gpuInstanceId: number, signal: AbortSignal): Promise<void> {
    const instance = ['-gi', String(gpuInstanceId)];
    try {
      await this.#mutate(gpu, ['-dci', ...instance], signal);
    } catch (fault) {
      // A GPU instance whose compute instances are gone already.
      if (!(fault instanceof DriverFault) || fault.code !== 'not-found') throw fault;
    }
    await this.#mutate(gpu, ['-dgi', ...instance], signal);
  }

  async #mutate(gpu: GpuUuid, action: readonly string[], signal: AbortSignal): Promise<void> {
    await this.#asking.change({ args: ['mig', '-i', gpu, ...action], gpu, kind: 'mutate', alone: false }, signal);
  }
}

function notListed(gpu: GpuUuid): DriverFault {
  return new DriverFault('gpu-lost', { command: ['-i', gpu], output: 'the driver does not list it' });
}
