import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { Profile } from '@astrago/shared/domain/mig/profile';
import { DriverFault } from '../app/ports.ts';
import { type Asking, isHang } from './asking.ts';
import type { GpuFacts } from './gpu-facts.ts';
import { type GpuInstanceProfileRow, parseGpuInstanceProfiles } from './parse-gpu-instance-profiles.ts';
import { noInstances } from './parse-gpu-instances.ts';
import { type PossiblePlacements, parsePossiblePlacements } from './parse-possible-placements.ts';
import { joinProfiles } from './profile-listing.ts';
import { oneGpu, rowsOf, type Scope } from './scope.ts';

/**
 * What each GPU can be cut into. It never changes, so it is read once; but drivers before 535 or so list profiles
 * only with MIG on, so an empty answer holds only until the mode changes, and a full one outlives that.
 */
export class ProfileBook {
  readonly #asking: Asking;
  readonly #pages = new Map<GpuUuid, { readonly mode: GpuFacts['migMode']; readonly profiles: readonly Profile[] }>();

  constructor(asking: Asking) {
    this.#asking = asking;
  }

  profilesOf(gpu: GpuUuid): readonly Profile[] {
    return this.#pages.get(gpu)?.profiles ?? [];
  }

  /**
   * Reads what is not known yet of `gpus`. A listing that fails leaves them without profiles until the next
   * time and its fault is returned, for the rest of such a GPU is still worth knowing; one that hangs throws.
   */
  async fill(scope: Scope, gpus: readonly GpuFacts[], signal: AbortSignal): Promise<DriverFault | undefined> {
    const missing = gpus.filter((gpu) => gpu.migMode !== 'not-offered' && this.#pages.get(gpu.uuid)?.mode !== gpu.migMode);
    const [first, second] = missing;
    if (first === undefined) return undefined;
    const narrow = scope.gpu === 'all' && second === undefined ? oneGpu(first.uuid) : scope;
    try {
      const listed = await this.#list(narrow, signal);
      for (const gpu of missing) this.#write(gpu, narrow, listed);
      return undefined;
    } catch (fault) {
      if (!(fault instanceof DriverFault) || isHang(fault)) throw fault;
      return fault;
    }
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
    const none = { text: noInstances, value: [] };
    const rows = await this.#asking.ask(
      { args: ['mig', ...scope.select, '-lgip'], gpu: scope.gpu, read: parseGpuInstanceProfiles, none },
      signal,
    );
    if (rows.length === 0) return { rows, placements: [] };
    const placements = await this.#asking.ask(
      { args: ['mig', ...scope.select, '-lgipp'], gpu: scope.gpu, read: parsePossiblePlacements, none },
      signal,
    );
    return { rows, placements };
  }
}
