import { type FileHandle, mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { AllocationStatus } from '#core/allocation-step';
import { emptyOrder, type Order } from '#core/order';
import type { EnforcementAction, Ledger } from '../app/ports.ts';
import { writeDurably } from '../files/write-durably.ts';

const stepsMaxBytes = 4 * 1024 * 1024;

/**
 * `order.json` is the last accepted order, `verdicts.json` ends that were decided, `steps.jsonl` intents and outcomes.
 * The steps are for people and for the audit: after a crash the agent looks at the GPU again, not at what it meant to do.
 */
export class FileLedger implements Ledger, AsyncDisposable {
  order: Order;
  readonly #directory: string;
  readonly #bootId: string;
  readonly #verdicts: Map<string, AllocationStatus>;
  readonly #now: () => number;
  #steps: FileHandle;
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(facts: {
    directory: string;
    bootId: string;
    order: Order;
    verdicts: Map<string, AllocationStatus>;
    steps: FileHandle;
    now: () => number;
  }) {
    this.#directory = facts.directory;
    this.#bootId = facts.bootId;
    this.order = facts.order;
    this.#verdicts = facts.verdicts;
    this.#steps = facts.steps;
    this.#now = facts.now;
  }

  static async open(directory: string, bootId: string, now: () => number): Promise<FileLedger> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const order = ((await readJson(join(directory, 'order.json'))) as Order | undefined) ?? emptyOrder;
    const verdicts = new Map(
      Object.entries(((await readJson(join(directory, 'verdicts.json'))) as Record<string, AllocationStatus> | undefined) ?? {}),
    );
    const steps = await open(join(directory, 'steps.jsonl'), 'a', 0o600);
    // A crash may have left the last line without its end; the next one must not be glued to it.
    if ((await steps.stat()).size > 0) await steps.appendFile('\n');
    return new FileLedger({ directory, bootId, order, verdicts, steps, now });
  }

  putOrder(order: Order): Promise<void> {
    return this.#alone(async () => {
      await writeDurably(join(this.#directory, 'order.json'), JSON.stringify(order));
      this.order = order;
    });
  }

  verdict(allocation: string): AllocationStatus | undefined {
    return this.#verdicts.get(allocation);
  }

  putVerdict(allocation: string, status: AllocationStatus): Promise<void> {
    return this.#changeVerdicts((next) => next.set(allocation, status));
  }

  forget(allocation: string): Promise<void> {
    return this.#verdicts.has(allocation) ? this.#changeVerdicts((next) => next.delete(allocation)) : Promise.resolve();
  }

  intent(gpu: GpuUuid, step: string): Promise<void> {
    return this.#append({ gpu, step, intent: true });
  }

  outcome(gpu: GpuUuid, step: string, result: string): Promise<void> {
    return this.#append({ gpu, step, result });
  }

  deed(action: EnforcementAction): Promise<void> {
    return this.#append(action);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing.catch(() => undefined);
    await this.#steps.close();
  }

  #changeVerdicts(change: (next: Map<string, AllocationStatus>) => void): Promise<void> {
    return this.#alone(async () => {
      const next = new Map(this.#verdicts);
      change(next);
      await writeDurably(join(this.#directory, 'verdicts.json'), JSON.stringify(Object.fromEntries(next)));
      this.#verdicts.clear();
      for (const [id, status] of next) this.#verdicts.set(id, status);
    });
  }

  #append(entry: object): Promise<void> {
    return this.#alone(async () => {
      await this.#rotate();
      await this.#steps.appendFile(`${JSON.stringify({ atMs: this.#now(), boot: this.#bootId, ...entry })}\n`);
      await this.#steps.datasync();
    });
  }

  async #rotate(): Promise<void> {
    if ((await this.#steps.stat()).size < stepsMaxBytes) return;
    await this.#steps.close();
    const file = join(this.#directory, 'steps.jsonl');
    await rename(file, `${file}.1`);
    this.#steps = await open(file, 'w', 0o600);
  }

  /** One write at a time, in the order asked. */
  #alone<T>(write: () => Promise<T>): Promise<T> {
    const next = this.#writing.catch(() => undefined).then(write);
    this.#writing = next;
    return next;
  }
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw new Error(`the ledger file ${file} cannot be read; move it away to start this node without its last order`, { cause });
  }
}
