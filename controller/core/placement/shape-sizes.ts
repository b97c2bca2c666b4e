import type { AskClass } from './demand.ts';
import { freeGpus, type Shape } from './shape.ts';

/** What shapes have at most, by their numbers, in few pieces of memory: most are only looked at to see that an ask does not fit. */
export class ShapeSizes {
  #cpuMilli = new Float64Array(1024);
  #memoryMiB = new Float64Array(1024);
  #mostMilli = new Uint16Array(1024);
  #wholeGpus = new Uint16Array(1024);

  set(shape: number, { cpuMilli, memoryMiB, gpus }: Shape): void {
    if (shape >= this.#cpuMilli.length) this.#grow();
    this.#cpuMilli[shape] = cpuMilli;
    this.#memoryMiB[shape] = memoryMiB;
    this.#mostMilli[shape] = gpus[0] ?? 0;
    this.#wholeGpus[shape] = freeGpus(gpus);
  }

  /** `false` where an ask does not fit; `true` where it may. */
  mayFit(shape: number, { cpuMilli, memoryMiB, gpus, milli, timeSliced }: AskClass): boolean {
    if ((this.#cpuMilli[shape] ?? 0) < cpuMilli || (this.#memoryMiB[shape] ?? 0) < memoryMiB) return false;
    if (gpus === 0 || timeSliced === true) return true;
    return milli === 1000 ? (this.#wholeGpus[shape] ?? 0) >= gpus : (this.#mostMilli[shape] ?? 0) >= milli;
  }

  #grow(): void {
    this.#cpuMilli = doubled(this.#cpuMilli, new Float64Array(2 * this.#cpuMilli.length));
    this.#memoryMiB = doubled(this.#memoryMiB, new Float64Array(2 * this.#memoryMiB.length));
    this.#mostMilli = doubled(this.#mostMilli, new Uint16Array(2 * this.#mostMilli.length));
    this.#wholeGpus = doubled(this.#wholeGpus, new Uint16Array(2 * this.#wholeGpus.length));
  }
}

function doubled<T extends Float64Array | Uint16Array>(before: T, larger: T): T {
  larger.set(before);
  return larger;
}
