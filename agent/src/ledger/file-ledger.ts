import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { AllocationStatus } from '#core/allocation-step';
import { emptyOrder, type Order } from '#core/order';
import type { EnforcementAction, Ledger } from '../app/ports.ts';
import { readSealed, removeDrafts, setAside, writeSealed } from './sealed-file.ts';
import { StepJournal } from './step-journal.ts';

export interface FileLedgerDeps {
  readonly directory: string;
  readonly bootId: string;
  readonly nowMs: () => number;
  /** A finding about the ledger, or with `undefined` its end. */
  readonly tell: (kind: 'disk-full' | 'ledger-set-aside', detail: string | undefined) => void;
}

/**
 * `order.json` is the last accepted order, `verdicts.json` ends that were decided, `steps.jsonl` intents and outcomes;
 * all with checksums. A damaged file is set aside and the node is known by observation alone, until the next order:
 * what it held is never guessed. A write that fails leaves the old state in force, on disk and here.
 */
export class FileLedger implements Ledger, AsyncDisposable {
  order: Order;
  readonly #deps: FileLedgerDeps;
  readonly #verdicts: Map<string, AllocationStatus>;
  readonly #steps: StepJournal;
  #writing: Promise<unknown> = Promise.resolve();
  #writable = true;

  private constructor(deps: FileLedgerDeps, order: Order, verdicts: Map<string, AllocationStatus>, steps: StepJournal) {
    this.#deps = deps;
    this.order = order;
    this.#verdicts = verdicts;
    this.#steps = steps;
  }

  static async open(deps: FileLedgerDeps): Promise<FileLedger> {
    const { directory, bootId, nowMs, tell } = deps;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await removeDrafts(directory);
    const aside: string[] = [];
    const read = async (name: string): Promise<Readonly<Record<string, unknown>> | undefined> => {
      const file = join(directory, name);
      const found = await readSealed(file);
      if (found.kind === 'damaged') aside.push(await setAside(file, nowMs()));
      return found.kind === 'read' ? found.record : undefined;
    };
    // The checksum vouches for the shape: nobody else writes these.
    const order = (await read('order.json'))?.['order'] as Order | undefined;
    const verdicts = (await read('verdicts.json'))?.['verdicts'] as Readonly<Record<string, AllocationStatus>> | undefined;
    const steps = await StepJournal.open(directory, bootId, nowMs);
    if (steps.aside !== undefined) aside.push(steps.aside);
    if (aside.length > 0) tell('ledger-set-aside', `${aside.join(', ')} in ${directory}`);
    return new FileLedger(deps, order ?? emptyOrder, new Map(Object.entries(verdicts ?? {})), steps.journal);
  }

  putOrder(order: Order): Promise<void> {
    return this.#alone(async () => {
      await writeSealed(join(this.#deps.directory, 'order.json'), { order });
      this.order = order;
      this.#deps.tell('ledger-set-aside', undefined);
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
    return this.#alone(() => this.#steps.intent(gpu, step));
  }

  outcome(gpu: GpuUuid, step: string, result: string): Promise<void> {
    return this.#alone(() => this.#steps.outcome(gpu, step, result));
  }

  /** Where the last write failed, tries one, so that the end of the trouble is seen though nothing is to be written. */
  async probe(): Promise<void> {
    if (this.#writable) return;
    await this.#alone(() => writeSealed(join(this.#deps.directory, 'probe.json'), {})).catch(() => undefined);
  }

  deed(action: EnforcementAction): Promise<void> {
    return this.#alone(() => this.#steps.deed(action));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing.catch(() => undefined);
    await this.#steps[Symbol.asyncDispose]();
  }

  #changeVerdicts(change: (next: Map<string, AllocationStatus>) => void): Promise<void> {
    return this.#alone(async () => {
      const next = new Map(this.#verdicts);
      change(next);
      await writeSealed(join(this.#deps.directory, 'verdicts.json'), { verdicts: Object.fromEntries(next) });
      this.#verdicts.clear();
      for (const [id, status] of next) this.#verdicts.set(id, status);
    });
  }

  /** One write at a time, in the order asked. */
  #alone<T>(write: () => Promise<T>): Promise<T> {
    const next = this.#writing.catch(() => undefined).then(write);
    this.#writing = next.then(
      () => this.#noteWritable(undefined),
      (failure: unknown) => this.#noteWritable(failure),
    );
    return next;
  }

  #noteWritable(failure: unknown): void {
    if (failure === undefined && this.#writable) return;
    this.#writable = failure === undefined;
    this.#deps.tell('disk-full', failure === undefined ? undefined : failure instanceof Error ? failure.message : String(failure));
  }
}
