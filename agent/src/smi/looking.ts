import type { GpuUuid } from '@astrago/shared/domain/ids';
import { DriverFault, type ObservedGpu, type Shortfall } from '../app/ports.ts';
import { askLog, isRefusal, noDevices } from './ask-log.ts';
import { type Asking, isHang } from './asking.ts';
import type { FieldBook } from './field-book.ts';
import { factFields, type GpuFacts, parseGpuFacts } from './gpu-facts.ts';
import { factsOfListed, factsOfLog } from './other-facts.ts';
import { parseGpuList } from './parse-gpu-list.ts';
import type { Parsed } from './parsed.ts';
import { isOfNote, ProfileBook } from './profile-book.ts';
import { allGpus, type Scope } from './scope.ts';
import { type SliceFinding, SliceLooking } from './slice-looking.ts';

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
  readonly #slices: SliceLooking;

  constructor(asking: Asking, fields: FieldBook) {
    this.#asking = asking;
    this.#fields = fields;
    this.#book = new ProfileBook(asking);
    this.#slices = new SliceLooking(asking);
  }

  /** Of a GPU that could not be listed in full what there is. Throws where no GPU can be listed at all. */
  async gpus(scope: Scope, signal: AbortSignal): Promise<readonly SeenGpu[]> {
    const listed = await this.#withModes(await this.facts(scope, signal), signal);
    const slices = await this.#slices.of(
      scope,
      listed.filter((facts) => facts.migMode === 'enabled' && facts.isLost !== true),
      signal,
    );
    // Where `mig` hangs for one question it would for the next.
    const answering = listed.filter(({ uuid, isLost }) => isLost !== true && !hangs(slices.get(uuid)));
    const faults = await this.#book.fill(scope, answering, signal);
    return listed.map((facts) => {
      const found = slices.get(facts.uuid);
      const shortfall = facts.isLost === true ? lost : shortfallOf(found, faults.get(facts.uuid));
      return {
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
          slices: found?.kind === 'listed' ? found.slices : [],
          ...(shortfall === undefined ? {} : { shortfall }),
        },
      };
    });
  }

  /** Where nothing was said of the MIG mode, `mig` itself may say it. A help text without the word is of a time before MIG. */
  async #withModes(listed: readonly GpuFacts[], signal: AbortSignal): Promise<readonly GpuFacts[]> {
    if (this.#fields.isRead || listed.every((facts) => facts.modeIsTold)) return listed;
    const rows = await this.#slices.instances(signal);
    if (rows === undefined) return listed;
    const capable = await this.#book.capable(signal);
    return listed.map((facts) => {
      if (facts.modeIsTold) return facts;
      if (rows.some(({ gpuIndex }) => gpuIndex === facts.index)) return { ...facts, migMode: 'enabled' };
      return capable.has(facts.index) ? { ...facts, migMode: 'disabled' } : facts;
    });
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
    const sources: readonly (() => Promise<readonly GpuFacts[]>)[] = [
      async () => factsOfLog(await askLog(this.#asking, allGpus, signal)),
      async () => (await this.#asking.ask({ args: ['-L'], gpu: 'all', read: parseGpuList }, signal)).map(factsOfListed),
    ];
    for (const ask of sources) {
      try {
        return (await ask()).filter((own) => isIn(scope, own));
      } catch (fault) {
        if (!(fault instanceof DriverFault) || signal.aborted) throw fault;
        // What hangs may hang for another GPU than the one that was asked about.
        if (!isRefusal(fault)) throw scope.gpu === 'all' ? fault : refused;
      }
    }
    throw refused;
  }

  /** The id that `-cgi` takes for a profile of this GPU. */
  async profileId(scope: Scope, gpu: GpuUuid, name: string, signal: AbortSignal): Promise<number | undefined> {
    if (this.#book.profilesOf(gpu).length === 0) {
      const fault = (await this.#book.fill(scope, await this.facts(scope, signal), signal)).get(gpu);
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
}

function isIn(scope: Scope, facts: GpuFacts): boolean {
  return scope.gpu === 'all' || scope.gpu === facts.uuid;
}

const lost: Shortfall = { faults: [new DriverFault('gpu-lost', { command: ['-q', '-x'], output: 'GPU is lost' })] };

function hangs(finding: SliceFinding | undefined): boolean {
  return finding?.kind === 'unlisted' && isHang(finding.fault);
}

function shortfallOf(slices: SliceFinding | undefined, profiles: DriverFault | undefined): Shortfall | undefined {
  const told = profiles === undefined || !isOfNote(profiles) ? [] : [profiles];
  if (slices?.kind === 'unlisted') return { faults: [...told, slices.fault], unplaced: slices.unplaced };
  return told.length === 0 ? undefined : { faults: told };
}
