import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { Clock } from '@astrago/shared/runtime/clock';

/**
 * What a command may touch while it runs. `look` gets along with everything but `alone`; `change` keeps other
 * changes of its GPU away; `alone` keeps everything away, because any nvidia-smi opens all GPUs, is then a
 * client of each, and turns a mode change or a reset into a pending or refused one.
 */
export interface Claim {
  readonly gpu: GpuUuid | 'all';
  readonly manner: 'look' | 'change' | 'alone';
}

interface Waiting {
  readonly claim: Claim;
  /** Still waits for commands on other GPUs too. */
  patient: boolean;
  readonly answer: (entry: 'entered' | 'hung') => void;
}

/**
 * Decides which commands run beside each other, and keeps commands away from a GPU whose last one has not ended.
 * A hung command on one GPU keeps nothing from the others; a hung one over all GPUs, where the culprit is not
 * known, keeps away only further ones over all. Nor does a slow one: waiting for another GPU's command is a
 * courtesy that ends after `patienceMs`.
 */
export class Lanes {
  readonly #running = new Set<Claim>();
  readonly #hung = new Set<Claim>();
  readonly #waiting: Waiting[] = [];
  readonly #clock: Clock;
  readonly #patienceMs: number;

  constructor(deps: { readonly clock: Clock; readonly patienceMs: number }) {
    this.#clock = deps.clock;
    this.#patienceMs = deps.patienceMs;
  }

  /** Commands that were given up and have not ended. */
  get hungCount(): number {
    return this.#hung.size;
  }

  /** `hung` at once, or as soon as a command ahead is given up. Rejects with the reason of an aborted `signal`. */
  enter(claim: Claim, signal: AbortSignal): Promise<'entered' | 'hung'> {
    if (signal.aborted) return Promise.reject(signal.reason);
    const { promise, resolve, reject } = Promise.withResolvers<'entered' | 'hung'>();
    const answered = new AbortController();
    const onAbort = (): void => {
      answered.abort();
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      reject(signal.reason);
      this.#pump();
    };
    const waiting: Waiting = {
      claim,
      patient: true,
      answer: (entry) => {
        answered.abort();
        signal.removeEventListener('abort', onAbort);
        resolve(entry);
      },
    };
    signal.addEventListener('abort', onAbort, { once: true });
    this.#waiting.push(waiting);
    this.#pump();
    if (!answered.signal.aborted) {
      void this.#clock.sleep(this.#patienceMs, answered.signal).then(() => {
        waiting.patient = false;
        this.#pump();
      });
    }
    return promise;
  }

  leave(claim: Claim): void {
    this.#running.delete(claim);
    this.#pump();
  }

  /** As {@link leave}, and counts the command as hung until `gone` settles. */
  abandon(claim: Claim, gone: Promise<void>): void {
    this.#hung.add(claim);
    void gone.then(() => {
      this.#hung.delete(claim);
    });
    this.leave(claim);
  }

  #pump(): void {
    const ahead: Claim[] = [...this.#running];
    for (const waiting of [...this.#waiting]) {
      const { claim } = waiting;
      const hung = this.#isHung(claim);
      if (!hung && ahead.some((other) => inTheWay(claim, other, waiting.patient))) {
        ahead.push(claim);
        continue;
      }
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      if (!hung) {
        this.#running.add(claim);
        ahead.push(claim);
      }
      waiting.answer(hung ? 'hung' : 'entered');
    }
  }

  #isHung(claim: Claim): boolean {
    if (claim.gpu === 'all') return this.#hung.size > 0;
    for (const hung of this.#hung) if (hung.gpu === claim.gpu) return true;
    return false;
  }
}

function inTheWay(claim: Claim, other: Claim, patient: boolean): boolean {
  const meet = claim.gpu === 'all' || other.gpu === 'all' || claim.gpu === other.gpu;
  if (claim.manner === 'alone' || other.manner === 'alone') return meet || patient;
  return meet && claim.manner === 'change' && other.manner === 'change';
}
