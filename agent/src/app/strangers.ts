import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { Clock } from '@astrago/shared/runtime/clock';
import { type Stranger, strangerOf } from './gpu-use.ts';
import type { GpuDriver } from './ports.ts';

/** How soon a GPU that is held by strangers is looked at again: at first soon, as one that is ending is listed a moment longer. */
const lookSoonMs = 300;
export const lookAgainMs = 2000;

export interface StrangersDeps {
  readonly gpu: GpuUuid;
  readonly driver: Pick<GpuDriver, 'observeProcesses'>;
  readonly clock: Clock;
  /** Processes that are neither strangers nor of an allocation: those of our own MPS. */
  readonly ours: () => readonly number[];
  /** How long strangers may be in the way before what waits behind them has failed. */
  readonly timeoutMs: number;
}

/** Who sits on one GPU, and how long whoever waits behind them has waited. */
export class Strangers {
  readonly #deps: StrangersDeps;
  /** From the last fresh look at processes, and when that was. */
  #seen: readonly Stranger[] = [];
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #sinceMs: number | undefined;
  readonly #behindSinceMs = new Map<string, number>();

  constructor(deps: StrangersDeps) {
    this.#deps = deps;
  }

  async look(signal: AbortSignal): Promise<readonly Stranger[]> {
    const { driver, gpu, clock } = this.#deps;
    const processes = await driver.observeProcesses(signal);
    const ours = new Set(this.#deps.ours());
    this.#seen = processes.filter((process) => process.gpuUuid === gpu && !ours.has(process.pid)).map(strangerOf);
    this.#lookedAtMs = clock.elapsedMs();
    return this.#seen;
  }

  /** As last seen; none once that is too long ago. */
  get known(): readonly Stranger[] {
    return this.#deps.clock.elapsedMs() - this.#lookedAtMs < this.#patienceMs() ? this.#seen : [];
  }

  /**
   * They are in the way of these. Says who has waited too long: each on its own time, for who comes late has not waited
   * yet, and by a look after that time, not by what was remembered.
   */
  inTheWayOf(ids: readonly string[]): readonly string[] {
    const nowMs = this.#deps.clock.elapsedMs();
    this.#sinceMs ??= nowMs;
    for (const id of [...this.#behindSinceMs.keys()]) if (!ids.includes(id)) this.#behindSinceMs.delete(id);
    return ids.filter((id) => {
      const sinceMs = this.#behindSinceMs.get(id) ?? nowMs;
      this.#behindSinceMs.set(id, sinceMs);
      return this.#lookedAtMs - sinceMs >= this.#deps.timeoutMs;
    });
  }

  outOfTheWay(): void {
    this.#sinceMs = undefined;
    this.#behindSinceMs.clear();
  }

  /** Something else is wanted: they are looked for eagerly again. */
  startOver(): void {
    this.#sinceMs = undefined;
  }

  /** When to look again; `undefined` when they are in nobody's way. */
  get comeBackInMs(): number | undefined {
    return this.#sinceMs === undefined ? undefined : this.#patienceMs();
  }

  #patienceMs(): number {
    const nowMs = this.#deps.clock.elapsedMs();
    return nowMs - (this.#sinceMs ?? nowMs) < lookAgainMs ? lookSoonMs : lookAgainMs;
  }
}
