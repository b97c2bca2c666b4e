import { readFile, rename } from 'node:fs/promises';
import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { ModeChanged } from '#core/sharing/next-sharing-step';
import type { ModeMemory } from '../app/compute-modes.ts';
import { writeDurably } from '../files/write-durably.ts';

/** One small file. What an earlier boot left in it is void: the driver has forgotten those modes too. */
export class FileModeMemory implements ModeMemory {
  readonly #file: string;
  readonly #bootId: string;
  readonly #modes: Map<GpuUuid, ModeChanged>;
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(file: string, bootId: string, modes: Map<GpuUuid, ModeChanged>) {
    this.#file = file;
    this.#bootId = bootId;
    this.#modes = modes;
  }

  static async open(file: string, bootId: string): Promise<FileModeMemory> {
    return new FileModeMemory(file, bootId, new Map(await read(file, bootId)));
  }

  gpus(): readonly GpuUuid[] {
    return [...this.#modes.keys()];
  }

  get(gpu: GpuUuid): ModeChanged | undefined {
    return this.#modes.get(gpu);
  }

  remember(gpu: GpuUuid, changed: ModeChanged): Promise<void> {
    return this.#change((next) => next.set(gpu, changed));
  }

  forget(gpu: GpuUuid): Promise<void> {
    return this.#change((next) => next.delete(gpu));
  }

  #change(change: (next: Map<GpuUuid, ModeChanged>) => void): Promise<void> {
    const write = this.#writing
      .catch(() => undefined)
      .then(async () => {
        const next = new Map(this.#modes);
        change(next);
        await writeDurably(this.#file, JSON.stringify({ bootId: this.#bootId, modes: [...next] }));
        this.#modes.clear();
        for (const [gpu, changed] of next) this.#modes.set(gpu, changed);
      });
    this.#writing = write;
    return write;
  }
}

async function read(file: string, bootId: string): Promise<readonly (readonly [GpuUuid, ModeChanged])[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return [];
    throw cause;
  }
  try {
    const found = JSON.parse(text) as { readonly bootId: string; readonly modes: readonly (readonly [GpuUuid, ModeChanged])[] };
    return found.bootId === bootId ? found.modes.map(([gpu, { before, set }]) => [gpu, { before, set }] as const) : [];
  } catch {
    // Not guessed: a mode that nobody remembers stays as it is until a person changes it.
    await rename(file, `${file}.damaged`);
    return [];
  }
}
