import type { GpuUuid } from '@astrago/shared/domain/ids';
import { type GpuMeasure, type GpuSample, gpuMeasures, type SliceSample } from '#core/telemetry/sample';
import { DriverFault, type ObservedProcess } from '../app/ports.ts';
import type { DeviceDetails, FieldSupport, TelemetrySink, TelemetrySource, TelemetryStatus } from '../app/telemetry-source.ts';
import { allOrEach } from './all-or-each.ts';
import { askLog, isRefusal, noDevices } from './ask-log.ts';
import { type Asking, isHang } from './asking.ts';
import { listedProcesses, loggedProcesses } from './device-processes.ts';
import type { CsvFormat, FieldBook } from './field-book.ts';
import { logOnly, logSource } from './fields/resolve.ts';
import type { SampleRow } from './fields/sample-rows.ts';
import { Documents } from './loop/documents.ts';
import { defaultLoopLimits, type LoopLimits, LoopReader } from './loop/loop-reader.ts';
import { RowRounds } from './loop/row-rounds.ts';
import { type ComputeApp, computeAppFields, parseComputeApps } from './parse-compute-apps.ts';
import { type LoggedGpu, parseDeviceLog } from './parse-device-log.ts';
import { parseSamples } from './parse-samples.ts';
import { allGpus, type Scope } from './scope.ts';

export interface TelemetryOptions {
  /** Between two rounds of samples. */
  readonly periodMs: number;
  /** Between two rounds of processes, slices and what only the log has. */
  readonly detailPeriodMs: number;
  /** From 0 to 1, to spread restarts. */
  readonly random?: () => number;
  readonly limits?: Partial<LoopLimits>;
}

interface TelemetryDeps extends TelemetryOptions {
  readonly asking: Asking;
  readonly fields: FieldBook;
  /** GPUs by index, from the last listing that worked. */
  readonly known: () => ReadonlyMap<GpuUuid, number>;
}

/** One round of details: from a log in loop mode as text, from single commands read. */
type Details =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'log'; readonly gpus: readonly LoggedGpu[] }
  | { readonly kind: 'apps'; readonly apps: readonly ComputeApp[] };

/** What there is to know at one moment. */
export interface TelemetryMoment {
  /** Empty where neither `--query-gpu` nor the log could be had. */
  readonly samples: readonly GpuSample[];
  readonly details: DeviceDetails | undefined;
  readonly fields: readonly FieldSupport[];
  /** Why something is missing. */
  readonly faults: readonly DriverFault[];
}

/** Both questions asked once, for a program that does not stay. Rejects only when `signal` is aborted. */
export async function takeMoment(deps: Omit<TelemetryDeps, 'periodMs' | 'detailPeriodMs'>, signal: AbortSignal): Promise<TelemetryMoment> {
  return await new Telemetry({ ...deps, periodMs: 1000, detailPeriodMs: 1000 }).once(signal);
}

/** Two readers: `--query-gpu` for what changes quickly, `-q -x` for processes, slices and the rest. */
export function createTelemetry(deps: TelemetryDeps): TelemetrySource {
  return new Telemetry(deps);
}

class Telemetry implements TelemetrySource {
  readonly #deps: TelemetryDeps;
  readonly #rows: LoopReader<readonly SampleRow[]>;
  readonly #details: LoopReader<Details>;
  /** Measures that a log has had, and no other source gives. */
  readonly #logged = new Set<GpuMeasure>();
  #sawLog = false;
  #rowsAtMs = Number.NEGATIVE_INFINITY;
  #sink: TelemetrySink | undefined;

  constructor(deps: TelemetryDeps) {
    this.#deps = deps;
    const common = {
      around: deps.asking.around,
      random: deps.random ?? Math.random,
      limits: { ...defaultLoopLimits, ...deps.limits },
      abandon: (gone: Promise<void>) => deps.asking.abandon(gone),
    };
    this.#rows = new LoopReader({
      ...common,
      periodMs: deps.periodMs,
      plan: async (signal) => {
        const { columns } = await deps.fields.resolve(allGpus, signal);
        return { args: [`--query-gpu=${columns.join(',')}`, `--format=${deps.fields.format}`], framer: new RowRounds(columns) };
      },
      learn: (text) => deps.fields.learn(text),
      once: (signal) => this.#rowsOrLog(signal),
      onRound: (rows) => this.#takeRows(rows),
    });
    this.#details = new LoopReader<Details>({
      ...common,
      periodMs: deps.detailPeriodMs,
      plan: () => Promise.resolve({ args: ['-q', '-x'], framer: textFramer() }),
      learn: () => false,
      once: (signal) => this.#askDetails(signal),
      onRound: (details) => this.#takeDetails(details),
    });
  }

  get status(): TelemetryStatus {
    const only = (Object.keys(gpuMeasures) as GpuMeasure[]).filter(logOnly);
    const fields: FieldSupport[] = only.map((field) => ({ field, source: logSource, supported: this.#logged.has(field) }));
    return {
      gpus: this.#rows.status,
      details: this.#details.status,
      fields: [...this.#deps.fields.support, ...(this.#sawLog ? fields : [])],
    };
  }

  async once(signal: AbortSignal): Promise<TelemetryMoment> {
    let samples: readonly GpuSample[] = [];
    let details: DeviceDetails | undefined;
    this.#sink = {
      gpus: (taken) => {
        samples = taken;
      },
      devices: (taken) => {
        details = taken;
      },
    };
    const faults: DriverFault[] = [];
    for (const ask of [
      () => this.#rowsOnce(signal).then((rows) => this.#takeRows(rows)),
      () => this.#askDetails(signal).then((own) => this.#takeDetails(own)),
    ]) {
      try {
        await ask();
      } catch (fault) {
        if (signal.aborted || !(fault instanceof DriverFault)) throw fault;
        faults.push(fault);
      }
    }
    return { samples, details, fields: this.status.fields, faults };
  }

  async run(signal: AbortSignal, sink: TelemetrySink): Promise<void> {
    this.#sink = sink;
    const { residents } = this.#deps.asking;
    const leave = [residents.add(this.#rows), residents.add(this.#details)];
    await Promise.all([this.#rows.run(signal), this.#details.run(signal)]);
    for (const one of leave) one();
  }

  async #rowsOnce(signal: AbortSignal): Promise<readonly SampleRow[]> {
    return await allOrEach(
      this.#deps.known(),
      (scope) => this.#askRows(scope, signal),
      (row, gpu) => row.gpuUuid === gpu,
    );
  }

  /** The log says the same, and costs more; but it is all that some have. */
  async #rowsOrLog(signal: AbortSignal): Promise<readonly SampleRow[]> {
    try {
      return await this.#rowsOnce(signal);
    } catch (fault) {
      if (!(fault instanceof DriverFault) || !isRefusal(fault) || signal.aborted || this.#deps.fields.isRead) throw fault;
      const { driverVersion, gpus } = await askLog(this.#deps.asking, allGpus, signal);
      return gpus.map(({ uuid, values, words }, index) => ({ kind: 'row', index, gpuUuid: uuid, driverVersion, values, words }));
    }
  }

  async #askRows(scope: Scope, signal: AbortSignal): Promise<readonly SampleRow[]> {
    const { asking, fields } = this.#deps;
    for (;;) {
      const { columns } = await fields.resolve(scope, signal);
      try {
        return await asking.ask(
          {
            args: [...scope.select, `--query-gpu=${columns.join(',')}`, `--format=${fields.format}`],
            gpu: scope.gpu,
            read: (text) => parseSamples(text, columns),
            none: { text: noDevices, value: [] },
          },
          signal,
        );
      } catch (fault) {
        if (!(fault instanceof DriverFault) || signal.aborted) throw fault;
        if (!fields.learn(fault.output) && !(isRefusal(fault) && fields.narrow())) throw fault;
      }
    }
  }

  async #askDetails(signal: AbortSignal): Promise<Details> {
    const { asking, known } = this.#deps;
    try {
      const gpus = await allOrEach(
        known(),
        async (scope) => (await askLog(asking, scope, signal)).gpus,
        (own, gpu) => own.uuid === gpu,
      );
      return { kind: 'log', gpus };
    } catch (fault) {
      if (!(fault instanceof DriverFault) || isHang(fault) || signal.aborted) throw fault;
      return { kind: 'apps', apps: await this.#askApps(signal) };
    }
  }

  async #askApps(signal: AbortSignal): Promise<readonly ComputeApp[]> {
    const ask = (format: CsvFormat): Promise<readonly ComputeApp[]> => {
      const args = [`--query-compute-apps=${computeAppFields.join(',')}`, `--format=${format}`];
      return this.#deps.asking.ask({ args, gpu: 'all', read: parseComputeApps }, signal);
    };
    try {
      return await ask('csv');
    } catch (fault) {
      if (!(fault instanceof DriverFault) || !isRefusal(fault) || signal.aborted) throw fault;
      return await ask('csv,noheader,nounits');
    }
  }

  #takeRows(rows: readonly SampleRow[]): void {
    const { around } = this.#deps.asking;
    this.#rowsAtMs = around.clock.elapsedMs();
    const atMs = around.clock.nowMs();
    this.#sink?.gpus(
      rows.map(({ gpuUuid, values, words }) => ({ gpuUuid, atMs, values, words })),
      atMs,
    );
    if (this.#deps.fields.saw(rows[0]?.driverVersion)) this.#rows.renew();
  }

  #takeDetails(details: Details): void {
    const atMs = this.#deps.asking.around.clock.nowMs();
    if (details.kind === 'apps') {
      this.#sink?.devices({ atMs, processes: listedProcesses(details.apps), slices: [], extras: [], complete: false });
      return;
    }
    this.#tellLog(details.kind === 'log' ? details.gpus : read(details.text), atMs);
  }

  /** What `--query-gpu` is asked for too is left to it: an older value must not fill in for one that was not measured. */
  #withoutQueried(values: GpuSample['values']): GpuSample['values'] {
    const queried = new Set<string>(this.#deps.fields.support.flatMap(({ field, supported }) => (supported ? [field] : [])));
    return Object.fromEntries(Object.entries(values).filter(([measure]) => !queried.has(measure)));
  }

  #tellLog(gpus: readonly LoggedGpu[], atMs: number): void {
    const { periodMs, asking } = this.#deps;
    const processes: readonly ObservedProcess[] = loggedProcesses(gpus);
    const samples = gpus.map(({ uuid, values, words }): GpuSample => ({ gpuUuid: uuid, atMs, values, words }));
    this.#sawLog = true;
    for (const { values } of samples)
      for (const measure of Object.keys(values) as GpuMeasure[]) if (logOnly(measure)) this.#logged.add(measure);
    // An nvidia-smi that cannot be queried, or one that has stopped answering: the log says the same, more slowly.
    if (asking.around.clock.elapsedMs() - this.#rowsAtMs > 3 * periodMs) this.#sink?.gpus(samples, atMs);
    const extras = samples.map((sample) => ({ ...sample, values: this.#withoutQueried(sample.values) }));
    this.#sink?.devices({ atMs, processes, slices: gpus.flatMap((gpu) => slicesOf(gpu, atMs)), extras, complete: true });
  }
}

function slicesOf(gpu: LoggedGpu, atMs: number): readonly SliceSample[] {
  return gpu.migDevices.map(({ gpuInstanceId, computeInstanceId, values }) => ({
    gpuUuid: gpu.uuid,
    gpuInstanceId,
    computeInstanceId,
    atMs,
    values,
  }));
}

function read(text: string): readonly LoggedGpu[] {
  const log = parseDeviceLog(text);
  if (log.kind === 'parsed') return log.value.gpus;
  throw new DriverFault('unreadable-output', { command: ['-q', '-x'], output: `${log.reason}: ${log.line}` });
}

function textFramer() {
  const documents = new Documents();
  const asDetails = (framed: ReturnType<Documents['push']>) =>
    framed.map((one) => (one.kind === 'noise' ? one : ({ kind: 'round', round: { kind: 'text', text: one.round } } as const)));
  return {
    push: (text: string) => asDetails(documents.push(text)),
    flush: () => asDetails(documents.flush()),
    end: () => asDetails(documents.end()),
    get open() {
      return documents.open;
    },
  };
}
