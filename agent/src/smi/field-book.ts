import { DriverFault } from '../app/ports.ts';
import type { FieldSupport } from '../app/telemetry-source.ts';
import { type Asking, isHang } from './asking.ts';
import { type ResolvedFields, resolveFields } from './fields/resolve.ts';
import { parseQueryFields, refusedField } from './parse-query-fields.ts';
import type { Scope } from './scope.ts';

/** A driver that refuses more is asked nothing that makes sense. */
const refusedMax = 100;

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

  constructor(asking: Asking) {
    this.#asking = asking;
  }

  /** Absent when the help text cannot be had. */
  async offered(scope: Scope, signal: AbortSignal): Promise<ReadonlySet<string> | undefined> {
    if (this.#offered !== undefined) return this.#offered;
    try {
      this.#offered = await this.#asking.ask({ args: ['--help-query-gpu'], gpu: scope.gpu, read: parseQueryFields }, signal);
    } catch (fault) {
      if (!(fault instanceof DriverFault) || isHang(fault)) throw fault;
    }
    return this.#offered;
  }

  /** Whether the help text has been read. */
  get isRead(): boolean {
    return this.#offered !== undefined;
  }

  /** Whether `name` may be asked for, as far as is known. */
  knows(name: string): boolean {
    return !this.#refused.has(name) && this.#offered?.has(name) !== false;
  }

  async resolve(scope: Scope, signal: AbortSignal): Promise<ResolvedFields> {
    if (this.#resolved !== undefined) return this.#resolved;
    this.#resolved = resolveFields(await this.offered(scope, signal), this.#refused);
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
    this.#resolved = undefined;
  }
}
