import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { LiveSlice } from '@astrago/shared/domain/mig/slice';
import { DriverFault, type ObservedGpu } from '../app/ports.ts';
import { askLog, isRefusal, noDevices } from './ask-log.ts';
import type { Asking } from './asking.ts';
import type { FieldBook } from './field-book.ts';
import { factFields, type GpuFacts, parseGpuFacts } from './gpu-facts.ts';
import { inferSlices } from './infer-slices.ts';
import { factsOfListed, factsOfLog } from './other-facts.ts';
import { parseComputeInstances } from './parse-compute-instances.ts';
import { noInstances, parseGpuInstances } from './parse-gpu-instances.ts';
import { parseGpuList } from './parse-gpu-list.ts';
import type { Parsed } from './parsed.ts';
import { ProfileBook } from './profile-book.ts';
import { allGpus, rowsOf, type Scope } from './scope.ts';
import { joinSlices } from './slices.ts';

const unknownField = /is not a valid field to query/i;

export interface SeenGpu {
  readonly facts: GpuFacts;
  readonly gpu: ObservedGpu;
}

/** Answers "what is there" for all GPUs or one, with as few commands as it takes. */
export class Looking {
  readonly #asking: Asking;
  readonly #book: ProfileBook;
  readonly #fields: FieldBook;
  /** `mig` is known to this nvidia-smi. When it fails now and then, what was inferred must not stand in for its word. */
  #migAnswers = false;

  constructor(asking: Asking, fields: FieldBook) {
    this.#asking = asking;
    this.#fields = fields;
    this.#book = new ProfileBook(asking);
  }

  async gpus(scope: Scope, signal: AbortSignal): Promise<readonly SeenGpu[]> {
    const listed = await this.facts(scope, signal);
    await this.#book.fill(scope, listed, signal);
    const slices = await this.#slices(
      scope,
      listed.filter((facts) => facts.migMode === 'enabled'),
      signal,
    );
    return listed.map((facts) => ({
      facts,
      gpu: {
        uuid: facts.uuid,
        index: facts.index,
        model: facts.model,
        pciBusId: facts.pciBusId,
        memoryMiB: facts.memoryMiB,
        migCapable: facts.migMode !== 'not-offered',
        migEnabled: facts.migMode === 'enabled',
        migPending: facts.migPending,
        profiles: this.#book.profilesOf(facts.uuid),
        slices: slices.get(facts.uuid) ?? [],
      },
    }));
  }

  /** By `--query-gpu`; where that is refused what the log or, without a word on MIG, the list says. */
  async facts(scope: Scope, signal: AbortSignal): Promise<readonly GpuFacts[]> {
    try {
      return await this.query(scope, factFields, parseGpuFacts, signal);
    } catch (fault) {
      if (!(fault instanceof DriverFault) || !isRefusal(fault) || signal.aborted) throw fault;
      return await this.#factsOtherwise(scope, fault, signal);
    }
  }

  async #factsOtherwise(scope: Scope, refused: DriverFault, signal: AbortSignal): Promise<readonly GpuFacts[]> {
    // Neither numbers the one GPU that was asked about as the others are numbered, so all are asked about.
    try {
      return factsOfLog(await askLog(this.#asking, allGpus, signal)).filter((own) => isIn(scope, own));
    } catch (fault) {
      if (!(fault instanceof DriverFault) || !isRefusal(fault) || refused.code === 'unreadable-output') throw refused;
    }
    try {
      const listed = await this.#asking.ask({ args: ['-L'], gpu: 'all', read: parseGpuList }, signal);
      return listed.map(factsOfListed).filter((own) => isIn(scope, own));
    } catch {
      throw refused;
    }
  }

  /** The id that `-cgi` takes for a profile of this GPU. */
  async profileId(scope: Scope, gpu: GpuUuid, name: string, signal: AbortSignal): Promise<number | undefined> {
    if (this.#book.profilesOf(gpu).length === 0) {
      const fault = await this.#book.fill(scope, await this.facts(scope, signal), signal);
      if (fault !== undefined) throw fault;
    }
    return this.#book.profilesOf(gpu).find((profile) => profile.name === name)?.gpuInstanceProfileId;
  }

  /** `--query-gpu` for those of `fields` that this driver knows; `read` is told which ones a line holds. */
  async query<Field extends string, T>(
    scope: Scope,
    fields: readonly Field[],
    read: (text: string, fields: readonly Field[]) => Parsed<readonly T[]>,
    signal: AbortSignal,
  ): Promise<readonly T[]> {
    let forgot = false;
    for (;;) {
      try {
        return await this.#queryKnown(scope, fields, read, signal);
      } catch (fault) {
        if (!(fault instanceof DriverFault) || !unknownField.test(fault.output) || signal.aborted) throw fault;
        // The driver was exchanged under us, or does not know what its help text says.
        if (!forgot && this.#fields.isRead) this.#fields.forget();
        else if (!this.#fields.learn(fault.output)) throw fault;
        forgot = true;
      }
    }
  }

  async #queryKnown<Field extends string, T>(
    scope: Scope,
    fields: readonly Field[],
    read: (text: string, fields: readonly Field[]) => Parsed<readonly T[]>,
    signal: AbortSignal,
  ): Promise<readonly T[]> {
    await this.#fields.offered(scope, signal);
    const known = fields.filter((field) => this.#fields.knows(field));
    return await this.#asking.ask(
      {
        args: [...scope.select, `--query-gpu=${known.join(',')}`, '--format=csv,noheader,nounits'],
        gpu: scope.gpu,
        read: (text) => read(text, known),
        none: { text: noDevices, value: [] },
      },
      signal,
    );
  }

  /** Looks a second time when the listings contradict each other: something changed between them. */
  async #slices(scope: Scope, gpus: readonly GpuFacts[], signal: AbortSignal): Promise<ReadonlyMap<GpuUuid, readonly LiveSlice[]>> {
    if (gpus.length === 0) return new Map();
    try {
      const first = await this.#slicesOnce(scope, gpus, signal);
      const answer = first.kind === 'parsed' ? first : await this.#slicesOnce(scope, gpus, signal);
      if (answer.kind === 'parsed') return answer.value;
      throw new DriverFault('unreadable-output', { command: ['mig', ...scope.select, '-lgi'], output: `${answer.reason}: ${answer.line}` });
    } catch (fault) {
      if (!(fault instanceof DriverFault) || fault.code !== 'failed' || this.#migAnswers || signal.aborted) throw fault;
      return await this.#slicesOtherwise(gpus, fault, signal);
    }
  }

  /** Where `mig` is refused: GPU and compute instances from the log, names from the list, places from the numbers of the instances. */
  async #slicesOtherwise(
    gpus: readonly GpuFacts[],
    refused: DriverFault,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<GpuUuid, readonly LiveSlice[]>> {
    try {
      const log = await askLog(this.#asking, allGpus, signal);
      const listed = await this.#asking.ask({ args: ['-L'], gpu: 'all', read: parseGpuList }, signal);
      const found = new Map<GpuUuid, readonly LiveSlice[]>();
      for (const { uuid, model } of gpus) {
        const logged = log.gpus.find((own) => own.uuid === uuid)?.migDevices ?? [];
        const slices = inferSlices(model, logged, listed.find((own) => own.uuid === uuid)?.devices ?? []);
        if (slices === undefined) throw refused;
        found.set(uuid, slices);
      }
      return found;
    } catch {
      throw refused;
    }
  }

  async #slicesOnce(
    scope: Scope,
    gpus: readonly GpuFacts[],
    signal: AbortSignal,
  ): Promise<Parsed<ReadonlyMap<GpuUuid, readonly LiveSlice[]>>> {
    const { gpu, select } = scope;
    const none = { text: noInstances, value: [] };
    const gpuInstances = await this.#asking.ask({ args: ['mig', ...select, '-lgi'], gpu, read: parseGpuInstances, none }, signal);
    this.#migAnswers = true;
    const found = new Map<GpuUuid, readonly LiveSlice[]>();
    if (gpuInstances.length === 0) return { kind: 'parsed', value: found };
    const computeInstances = await this.#asking.ask({ args: ['mig', ...select, '-lci'], gpu, read: parseComputeInstances, none }, signal);
    const listed =
      computeInstances.length === 0 ? [] : await this.#asking.ask({ args: [...select, '-L'], gpu, read: parseGpuList }, signal);
    for (const facts of gpus) {
      const devices = listed.find((own) => own.uuid === facts.uuid)?.devices ?? [];
      const slices = joinSlices(rowsOf(scope, facts.index, gpuInstances), rowsOf(scope, facts.index, computeInstances), devices);
      if (slices.kind === 'unreadable') return slices;
      found.set(facts.uuid, slices.value);
    }
    return { kind: 'parsed', value: found };
  }
}

function isIn(scope: Scope, facts: GpuFacts): boolean {
  return scope.gpu === 'all' || scope.gpu === facts.uuid;
}
