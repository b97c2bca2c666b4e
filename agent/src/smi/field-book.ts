import { DriverFault } from '../app/ports.ts';
import type { FieldSupport } from '../app/telemetry-source.ts';
import { isRefusal } from './ask-log.ts';
import { type Asking, isHang } from './asking.ts';
import { type ResolvedFields, resolveFields } from './fields/resolve.ts';
import { parseQueryFields, refusedField } from './parse-query-fields.ts';
import type { Scope } from './scope.ts';

/** A driver that refuses more is asked nothing that makes sense. */
const refusedMax = 100;
/** A help text that cannot be had is not asked for again so soon. */
const refusalMs = 300_000;
/** After so many refusals of a field, without a help text, ever fewer fields are asked for: each refusal costs a command. */
const refusalsOf = { common: 3, core: 6 };

/** What most that stand in for a driver know, by the name that all drivers have. */
const common: ReadonlySet<string> = new Set([
  'index',
  'uuid',
  'gpu_uuid',
  'name',
  'pci.bus_id',
  'driver_version',
  'mig.mode.current',
  'memory.total',
  'memory.used',
  'memory.free',
  'utilization.gpu',
  'utilization.memory',
  'temperature.gpu',
  'power.draw',
  'power.limit',
  'fan.speed',
  'pstate',
]);

const core: ReadonlySet<string> = new Set([
  'index',
  'uuid',
  'gpu_uuid',
  'name',
  'memory.total',
  'memory.used',
  'utilization.gpu',
  'temperature.gpu',
  'power.draw',
]);

/** `nounits` goes without a header, as where it is all that was recorded of a machine. */
export type CsvFormat = 'csv' | 'csv,noheader,nounits';

/**
 * Which fields this driver knows: from its help text, and from what it refuses nevertheless. Read once, and again when
 * another driver has been seen.
 */
export class FieldBook {
  readonly #asking: Asking;
  #offered: ReadonlySet<string> | undefined;
  readonly #refused = new Set<string>();
  #resolved: ResolvedFields | undefined;
  #driverVersion: string | undefined;
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #breadth: 'all' | 'common' | 'core' = 'all';
  #format: CsvFormat = 'csv';

  constructor(asking: Asking) {
    this.#asking = asking;
  }

  /** Absent when the help text cannot be had. */
  async offered(scope: Scope, signal: AbortSignal): Promise<ReadonlySet<string> | undefined> {
    const { clock } = this.#asking.around;
    if (this.#offered !== undefined || clock.elapsedMs() < this.#notBeforeMs) return this.#offered;
    try {
      this.#offered = await this.#asking.ask({ args: ['--help-query-gpu'], gpu: scope.gpu, read: parseQueryFields }, signal);
    } catch (fault) {
      if (!(fault instanceof DriverFault) || isHang(fault)) throw fault;
      if (isRefusal(fault)) this.#notBeforeMs = clock.elapsedMs() + refusalMs;
    }
    this.#resolved = undefined;
    return this.#offered;
  }

  /** Whether the help text has been read. */
  get isRead(): boolean {
    return this.#offered !== undefined;
  }

  /** Whether `name` may be asked for, as far as is known. */
  knows(name: string): boolean {
    if (this.#refused.has(name)) return false;
    if (this.#offered !== undefined) return this.#offered.has(name);
    return this.#breadth === 'all' || (this.#breadth === 'common' ? common : core).has(name);
  }

  /** How samples are asked for. */
  get format(): CsvFormat {
    return this.#format;
  }

  async resolve(scope: Scope, signal: AbortSignal): Promise<ResolvedFields> {
    if (this.#resolved !== undefined) return this.#resolved;
    const offered = await this.offered(scope, signal);
    this.#resolved = resolveFields(offered, (name) => this.knows(name));
    return this.#resolved;
  }

  get support(): readonly FieldSupport[] {
    return this.#resolved?.support ?? [];
  }

  /** `true` when `output` refuses a field, and asking without it is worth a try. */
  learn(output: string): boolean {
    const name = refusedField(output);
    if (name === undefined || this.#refused.has(name) || this.#refused.size >= refusedMax) return false;
    this.#refused.add(name);
    if (this.#refused.size >= refusalsOf.core) this.#breadth = 'core';
    else if (this.#refused.size >= refusalsOf.common && this.#breadth === 'all') this.#breadth = 'common';
    this.#resolved = undefined;
    return true;
  }

  /** `true` when samples, refused without a word on a field, may be had in a plainer way. Never where a help text was read. */
  narrow(): boolean {
    if (this.#offered !== undefined) return false;
    if (this.#format === 'csv') this.#format = 'csv,noheader,nounits';
    else if (this.#breadth !== 'core') this.#breadth = 'core';
    else return false;
    this.#resolved = undefined;
    return true;
  }

  /** `true` when it is not the driver that all this was learned from, and everything is forgotten. */
  saw(driverVersion: string | undefined): boolean {
    if (driverVersion === undefined || driverVersion === this.#driverVersion) return false;
    const another = this.#driverVersion !== undefined;
    this.#driverVersion = driverVersion;
    if (another) this.forget();
    return another;
  }

  forget(): void {
    this.#offered = undefined;
    this.#refused.clear();
    this.#notBeforeMs = Number.NEGATIVE_INFINITY;
    this.#breadth = 'all';
    this.#format = 'csv';
    this.#resolved = undefined;
  }
}
