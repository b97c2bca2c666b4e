import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { Profile } from '@astrago/shared/domain/mig/profile';
import { DriverFault } from '../app/ports.ts';
import { type Asking, isHang, isUnknown } from './asking.ts';
import type { GpuFacts } from './gpu-facts.ts';
import { type GpuInstanceProfileRow, parseGpuInstanceProfiles } from './parse-gpu-instance-profiles.ts';
import { noInstances } from './parse-gpu-instances.ts';
import { type PossiblePlacements, parsePossiblePlacements } from './parse-possible-placements.ts';
import { joinProfiles } from './profile-listing.ts';
import { allGpus, oneGpu, rowsOf, type Scope } from './scope.ts';

const none = { text: noInstances, value: [] };
/** What is not known is not asked for again so soon. */
const refusalMs = 300_000;

/** A stand-in that has no `mig`, or a user who may not ask, is no fault of the GPU. */
export function isOfNote(fault: DriverFault): boolean {
  if (fault.code === 'unreadable-output') return !/^no table of /.test(fault.output);
  return isHang(fault) || (fault.code === 'failed' && !isUnknown(fault) && /\w+ Error\b|Failed to |Unable to /.test(fault.output));
}

/**
 * What each GPU can be cut into. It never changes, so it is read once; but drivers before 535 or so list profiles
 * only with MIG on, so an empty answer holds only until the mode changes, and a full one outlives that.
 */
export class ProfileBook {
  readonly #asking: Asking;
  readonly #pages = new Map<GpuUuid, { readonly mode: GpuFacts['migMode']; readonly profiles: readonly Profile[] }>();

  #capable: ReadonlySet<number> | undefined;
  #refused: { readonly fault: DriverFault; readonly untilMs: number } | undefined;

  constructor(asking: Asking) {
    this.#asking = asking;
  }

  profilesOf(gpu: GpuUuid): readonly Profile[] {
    return this.#pages.get(gpu)?.profiles ?? [];
  }

  /**
   * Reads what is not known yet of `gpus`. A listing that fails leaves them without profiles until the next time, and its
   * fault is in the answer: the rest of such a GPU is still worth knowing.
   */
  async fill(scope: Scope, gpus: readonly GpuFacts[], signal: AbortSignal): Promise<ReadonlyMap<GpuUuid, DriverFault>> {
    const missing = gpus.filter((gpu) => gpu.migMode !== 'not-offered' && this.#pages.get(gpu.uuid)?.mode !== gpu.migMode);
    const [first, second] = missing;
    if (first === undefined) return new Map();
    const refusal = this.#refusal;
    if (refusal !== undefined) return new Map(missing.map(({ uuid }) => [uuid, refusal]));
    const narrow = scope.gpu === 'all' && second === undefined ? oneGpu(first.uuid) : scope;
    try {
      const listed = await this.#list(narrow, signal);
      for (const gpu of missing) this.#write(gpu, narrow, listed);
      return new Map();
    } catch (fault) {
      if (!(fault instanceof DriverFault) || fault.code === 'driver-unavailable' || signal.aborted) throw fault;
      if (!isOfNote(fault)) this.#refused = { fault, untilMs: this.#asking.around.clock.elapsedMs() + refusalMs };
      if (second === undefined || scope.gpu !== 'all' || !isHang(fault)) return new Map(missing.map(({ uuid }) => [uuid, fault]));
      // One GPU can spoil it for all. They are asked beside each other: each may take its whole time.
      const each = await Promise.all(missing.map((gpu) => this.fill(oneGpu(gpu.uuid), [gpu], signal)));
      return new Map(each.flatMap((faults) => [...faults]));
    }
  }

  /** The indices of GPUs that can be cut; empty where `mig` does not say. */
  async capable(signal: AbortSignal): Promise<ReadonlySet<number>> {
    if (this.#capable !== undefined || this.#refusal !== undefined) return this.#capable ?? new Set();
    try {
      this.#capable = new Set((await this.#rows(allGpus, signal)).map(({ gpuIndex }) => gpuIndex));
    } catch (fault) {
      if (!(fault instanceof DriverFault) || fault.code === 'driver-unavailable' || signal.aborted) throw fault;
    }
    return this.#capable ?? new Set();
  }

  get #refusal(): DriverFault | undefined {
    const { clock } = this.#asking.around;
    return this.#refused !== undefined && clock.elapsedMs() < this.#refused.untilMs ? this.#refused.fault : undefined;
  }

  #write(
    gpu: GpuFacts,
    scope: Scope,
    listed: { readonly rows: readonly GpuInstanceProfileRow[]; readonly placements: readonly PossiblePlacements[] },
  ): void {
    const fresh = joinProfiles(rowsOf(scope, gpu.index, listed.rows), rowsOf(scope, gpu.index, listed.placements));
    const profiles = fresh.length > 0 ? fresh : this.profilesOf(gpu.uuid);
    this.#pages.set(gpu.uuid, { mode: gpu.migMode, profiles });
  }

  async #list(
    scope: Scope,
    signal: AbortSignal,
  ): Promise<{ readonly rows: readonly GpuInstanceProfileRow[]; readonly placements: readonly PossiblePlacements[] }> {
    const rows = await this.#rows(scope, signal);
    if (rows.length === 0) return { rows, placements: [] };
    const placements = await this.#asking.ask(
      { args: ['mig', ...scope.select, '-lgipp'], gpu: scope.gpu, read: parsePossiblePlacements, none },
      signal,
    );
    return { rows, placements };
  }

  #rows(scope: Scope, signal: AbortSignal): Promise<readonly GpuInstanceProfileRow[]> {
    return this.#asking.ask({ args: ['mig', ...scope.select, '-lgip'], gpu: scope.gpu, read: parseGpuInstanceProfiles, none }, signal);
  }
}
