import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { LiveSlice } from '@astrago/shared/domain/mig/slice';
import { DriverFault, type UnplacedSlice } from '../app/ports.ts';
import { askLog, isRefusal } from './ask-log.ts';
import { type Asking, isHang } from './asking.ts';
import type { GpuFacts } from './gpu-facts.ts';
import { inferSlices } from './infer-slices.ts';
import { parseComputeInstances } from './parse-compute-instances.ts';
import type { DeviceLog } from './parse-device-log.ts';
import { type GpuInstanceRow, noInstances, parseGpuInstances } from './parse-gpu-instances.ts';
import { type ListedGpu, parseGpuList } from './parse-gpu-list.ts';
import { allGpus, oneGpu, rowsOf, type Scope } from './scope.ts';
import { joinSlices } from './slices.ts';
import { devicesNamed, type NamedDevice, unplacedSlices } from './unplaced-slices.ts';

/** What is known of the slices of one GPU. */
export type SliceFinding =
  | { readonly kind: 'listed'; readonly slices: readonly LiveSlice[] }
  /** Not as they have to be known to cut anything. */
  | { readonly kind: 'unlisted'; readonly fault: DriverFault; readonly unplaced: readonly UnplacedSlice[] };

type Findings = ReadonlyMap<GpuUuid, SliceFinding>;

/** Lists the slices of GPUs whose MIG mode is on. */
export class SliceLooking {
  readonly #asking: Asking;
  /** `mig` is known to this nvidia-smi. When it fails now and then, what was inferred must not stand in for its word. */
  #migAnswers = false;

  constructor(asking: Asking) {
    this.#asking = asking;
  }

  /** Every one of `gpus` is in the answer. Throws only for `signal` and where there is no driver. */
  async of(scope: Scope, gpus: readonly GpuFacts[], signal: AbortSignal): Promise<Findings> {
    if (gpus.length === 0) return new Map();
    try {
      const slices = await this.#listed(scope, gpus, signal);
      return new Map(gpus.map(({ uuid }) => [uuid, { kind: 'listed', slices: slices.get(uuid) ?? [] }]));
    } catch (fault) {
      if (!(fault instanceof DriverFault) || fault.code === 'driver-unavailable' || signal.aborted) throw fault;
      // A table of it, however damaged, is its own.
      if (fault.code === 'unreadable-output' && !/^no table of /.test(fault.output)) this.#migAnswers = true;
      // One GPU can spoil it for all. They are asked beside each other: each may take its whole time.
      if (scope.gpu === 'all' && gpus.length > 1 && (this.#migAnswers || isHang(fault) || fault.code === 'gpu-lost')) {
        const each = await Promise.all(gpus.map((gpu) => this.of(oneGpu(gpu.uuid, String(gpu.index)), [gpu], signal)));
        return new Map(each.flatMap((findings) => [...findings]));
      }
      return await this.#otherwise(gpus, fault, signal);
    }
  }

  /** For where nothing else tells the MIG mode; `undefined` where this does not either. */
  async instances(signal: AbortSignal): Promise<readonly GpuInstanceRow[] | undefined> {
    try {
      const none = { text: noInstances, value: [] };
      return await this.#asking.ask({ args: ['mig', '-lgi'], gpu: 'all', read: parseGpuInstances, none }, signal);
    } catch (fault) {
      if (!(fault instanceof DriverFault) || fault.code === 'driver-unavailable' || signal.aborted) throw fault;
      return undefined;
    }
  }

  /** Looks a second time when the listings contradict each other: something changed between them. */
  async #listed(scope: Scope, gpus: readonly GpuFacts[], signal: AbortSignal): Promise<ReadonlyMap<GpuUuid, readonly LiveSlice[]>> {
    const first = await this.#listedOnce(scope, gpus, signal);
    const answer = first.kind === 'parsed' ? first : await this.#listedOnce(scope, gpus, signal);
    if (answer.kind === 'parsed') return answer.value;
    throw new DriverFault('unreadable-output', { command: ['mig', ...scope.select, '-lgi'], output: `${answer.reason}: ${answer.line}` });
  }

  async #listedOnce(scope: Scope, gpus: readonly GpuFacts[], signal: AbortSignal) {
    const { gpu, select } = scope;
    const none = { text: noInstances, value: [] };
    const gpuInstances = await this.#asking.ask({ args: ['mig', ...select, '-lgi'], gpu, read: parseGpuInstances, none }, signal);
    this.#migAnswers = true;
    const found = new Map<GpuUuid, readonly LiveSlice[]>();
    if (gpuInstances.length === 0) return { kind: 'parsed', value: found } as const;
    const computeInstances = await this.#asking.ask({ args: ['mig', ...select, '-lci'], gpu, read: parseComputeInstances, none }, signal);
    const listed =
      computeInstances.length === 0 ? [] : await this.#asking.ask({ args: [...select, '-L'], gpu, read: parseGpuList }, signal);
    for (const facts of gpus) {
      const devices = listed.find((own) => own.uuid === facts.uuid)?.devices ?? [];
      const slices = joinSlices(rowsOf(scope, facts.index, gpuInstances), rowsOf(scope, facts.index, computeInstances), devices);
      if (slices.kind === 'unreadable') return slices;
      found.set(facts.uuid, slices.value);
    }
    return { kind: 'parsed', value: found } as const;
  }

  /**
   * GPU and compute instances from the log, names from the list, places from the numbers of the instances. Where that does
   * not come to slices in places, they are named without.
   */
  async #otherwise(gpus: readonly GpuFacts[], fault: DriverFault, signal: AbortSignal): Promise<Findings> {
    // One that hangs would be waited for once more.
    const [log, listed] = isHang(fault) ? [undefined, undefined] : [await this.#log(signal), await this.#list(signal)];
    return new Map(gpus.map((gpu) => [gpu.uuid, this.#inferred(gpu, fault, log, listed)]));
  }

  #inferred(
    { uuid, model }: GpuFacts,
    fault: DriverFault,
    log: DeviceLog | undefined,
    listed: readonly ListedGpu[] | undefined,
  ): SliceFinding {
    const names = listed?.find((own) => own.uuid === uuid)?.devices;
    const told: readonly NamedDevice[] | undefined = log?.gpus.find((own) => own.uuid === uuid)?.migDevices ?? devicesNamed(names ?? []);
    const slices = names === undefined || told === undefined || this.#migAnswers ? undefined : inferSlices(model, told, names);
    if (slices !== undefined) return { kind: 'listed', slices };
    return { kind: 'unlisted', fault, unplaced: unplacedSlices(told ?? [], names ?? []) };
  }

  async #log(signal: AbortSignal): Promise<DeviceLog | undefined> {
    return await orRefused(askLog(this.#asking, allGpus, signal));
  }

  async #list(signal: AbortSignal): Promise<readonly ListedGpu[] | undefined> {
    return await orRefused(this.#asking.ask({ args: ['-L'], gpu: 'all', read: parseGpuList }, signal));
  }
}

async function orRefused<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (fault) {
    if (fault instanceof DriverFault && (isRefusal(fault) || isHang(fault))) return undefined;
    throw fault;
  }
}
