import { DriverFault } from '../../app/ports.ts';
import type { ReaderStatus } from '../../app/telemetry-source.ts';
import type { CommandSurroundings } from '../command.ts';
import type { Resident } from '../residents.ts';
import { type BackOffLimits, backOffMs } from './back-off.ts';
import type { Framer } from './framer.ts';
import { Ladder, loopSwitch, type Rung, refusesSwitch } from './ladder.ts';
import { type LoopChild, type LoopEnd, startLoopChild } from './loop-child.ts';

export interface LoopLimits extends BackOffLimits {
  /** For the first round beyond the period: without persistence the driver starts every GPU first. */
  readonly firstRoundMs: number;
  /** For each further one, beyond three periods. */
  readonly slackMs: number;
  /** How long a killed child has before it is given up. */
  readonly killMs: number;
  /** After this long with rounds, what went wrong before is forgotten. */
  readonly wellMs: number;
  /** Failures in a row after which single commands, GPU by GPU where need be, take over for {@link pollingMs}. */
  readonly failuresMax: number;
  readonly pollingMs: number;
  /** Children that cannot be killed; with so many there, no further one is started. */
  readonly abandonedMax: number;
}

export const defaultLoopLimits: LoopLimits = {
  firstMs: 1_000,
  maxMs: 60_000,
  firstRoundMs: 30_000,
  slackMs: 5_000,
  killMs: 2_000,
  wellMs: 30_000,
  failuresMax: 3,
  pollingMs: 300_000,
  abandonedMax: 2,
};

export interface LoopReaderDeps<Round> {
  readonly around: CommandSurroundings;
  readonly random: () => number;
  readonly periodMs: number;
  /** What to ask, without the switch for the loop, and how to read it; asked for before each start. */
  readonly plan: (signal: AbortSignal) => Promise<{ readonly args: readonly string[]; readonly framer: Framer<Round> }>;
  /** Told why a child refused to run; `true` when {@link plan} will be another one. */
  readonly learn: (text: string) => boolean;
  /** One round by single commands. */
  readonly once: (signal: AbortSignal) => Promise<Round>;
  /** Takes a round, or throws {@link DriverFault} when it cannot be read. */
  readonly onRound: (round: Round) => void;
  readonly abandon: (gone: Promise<void>) => void;
  readonly limits: LoopLimits;
}

type Outcome =
  | { readonly kind: 'asked-to-stop' }
  | { readonly kind: 'ended'; readonly end: LoopEnd; readonly rounds: number; readonly ranMs: number; readonly noise: string }
  | { readonly kind: 'stuck'; readonly afterMs: number; readonly rounds: number; readonly ranMs: number }
  | { readonly kind: 'fault'; readonly text: string };

/**
 * Rounds from a long-running nvidia-smi, without end: started, watched, ended when it says nothing for too long, started
 * again. A child that cannot be killed is left behind and never waited for; single commands stand in for it then, so
 * that one wedged GPU does not hide the others.
 */
export class LoopReader<Round> implements Resident {
  readonly #deps: LoopReaderDeps<Round>;
  readonly #ladder: Ladder;
  #state: ReaderStatus['state'] = 'starting';
  #restarts = 0;
  #abandoned = 0;
  #lastSuccessAtMs: number | undefined;
  #lastError: string | undefined;
  #failures = 0;
  #learned = 0;
  #pauses = 0;
  #pollUntilMs = Number.NEGATIVE_INFINITY;
  /** Ends the child under way. */
  #stop = new AbortController();
  #childGone: Promise<void> = Promise.resolve();
  #wake = new AbortController();

  constructor(deps: LoopReaderDeps<Round>) {
    this.#deps = deps;
    this.#ladder = new Ladder(deps.periodMs);
  }

  get status(): ReaderStatus {
    return {
      state: this.#pauses > 0 ? 'paused' : this.#abandoned > 0 ? 'stuck' : this.#state,
      restarts: this.#restarts,
      abandoned: this.#abandoned,
      lastSuccessAtMs: this.#lastSuccessAtMs,
      lastError: this.#lastError,
    };
  }

  async pause(): Promise<void> {
    this.#pauses += 1;
    this.#stop.abort();
    await this.#childGone;
  }

  resume(): void {
    this.#pauses -= 1;
    if (this.#pauses === 0) this.#wakeUp();
  }

  /** Asks {@link LoopReaderDeps.plan} again, because the driver is another one. */
  renew(): void {
    this.#stop.abort();
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#pauses > 0) await this.#sleep(Number.POSITIVE_INFINITY, signal);
      else if (this.#rung() === 'polls') await this.#poll(signal);
      else await this.#judge(this.#rung(), signal);
    }
  }

  #rung(): Rung {
    if (this.#abandoned >= this.#deps.limits.abandonedMax) return 'polls';
    return this.#deps.around.clock.elapsedMs() < this.#pollUntilMs ? 'polls' : this.#ladder.rung;
  }

  async #judge(rung: Rung, signal: AbortSignal): Promise<void> {
    if (rung === 'polls') return;
    const { limits, learn } = this.#deps;
    this.#state = 'starting';
    const outcome = await this.#loop(rung, signal);
    if (signal.aborted || outcome.kind === 'asked-to-stop') return;
    if (outcome.kind === 'ended') {
      const { end, rounds, noise } = outcome;
      const exitCode = end.kind === 'exited' ? end.exitCode : undefined;
      const text = end.kind === 'exited' ? `${noise}\n${end.stderr}`.trim() : String(end.cause);
      if (rounds > 0 && exitCode === 0) return this.#ladder.refuseLoops();
      if (rounds === 0 && this.#learned < 64 && learn(text)) {
        this.#learned += 1;
        return;
      }
      if (rounds === 0 && end.kind === 'exited' && refusesSwitch(exitCode, text)) return this.#ladder.refuse(rung);
      this.#lastError = text.split('\n')[0] || `nvidia-smi ended with ${exitCode ?? 'a signal'}`;
    } else {
      this.#lastError = outcome.kind === 'fault' ? outcome.text : `nvidia-smi printed nothing for ${Math.round(outcome.afterMs)} ms`;
    }
    if (outcome.kind !== 'fault' && outcome.rounds > 0 && outcome.ranMs >= limits.wellMs) this.#failures = 0;
    this.#failures += 1;
    this.#restarts += 1;
    // The next one would be as silent: all GPUs are behind one that does not answer.
    const silent = outcome.kind === 'stuck' && outcome.rounds === 0;
    if (silent || this.#abandoned > 0 || this.#failures >= limits.failuresMax) {
      this.#pollUntilMs = this.#deps.around.clock.elapsedMs() + limits.pollingMs;
      return;
    }
    this.#state = 'backing-off';
    await this.#sleep(backOffMs(this.#failures, limits, this.#deps.random), signal);
  }

  async #loop(rung: Exclude<Rung, 'polls'>, signal: AbortSignal): Promise<Outcome> {
    const { around, periodMs, limits } = this.#deps;
    this.#stop = new AbortController();
    const stop = AbortSignal.any([this.#stop.signal, signal]);
    let plan: Awaited<ReturnType<LoopReaderDeps<Round>['plan']>>;
    try {
      plan = await this.#deps.plan(stop);
    } catch (fault) {
      if (stop.aborted) return { kind: 'asked-to-stop' };
      return { kind: 'fault', text: textOf(fault) };
    }
    if (stop.aborted || this.#pauses > 0) return { kind: 'asked-to-stop' };

    const startMs = around.clock.elapsedMs();
    let rounds = 0;
    let heardMs = startMs;
    let noise = '';
    const over = new AbortController();
    let gap = new AbortController();
    const take = (framed: ReturnType<Framer<Round>['push']>): void => {
      for (const one of framed) {
        if (one.kind === 'noise') noise = one.text;
        else if (this.#accept(one.round)) {
          rounds += 1;
          heardMs = around.clock.elapsedMs();
          this.#state = 'running';
        }
      }
    };
    const child = startLoopChild([...plan.args, ...loopSwitch(rung, periodMs)], around, (text) => {
      if (over.signal.aborted) return;
      take(plan.framer.push(text));
      gap.abort();
      if (!plan.framer.open) return;
      gap = new AbortController();
      const quiet = gap.signal;
      void around.clock.sleep(Math.min(250, periodMs / 2), quiet).then(() => {
        if (!quiet.aborted && !over.signal.aborted) take(plan.framer.flush());
      });
    });
    const gone = Promise.withResolvers<void>();
    this.#childGone = gone.promise;
    const silence = async (): Promise<Outcome> => {
      for (;;) {
        const limitMs = 3 * periodMs + (rounds === 0 ? limits.firstRoundMs : limits.slackMs);
        const leftMs = heardMs + limitMs - around.clock.elapsedMs();
        const ranMs = around.clock.elapsedMs() - startMs;
        if (leftMs <= 0 || over.signal.aborted) return { kind: 'stuck', afterMs: limitMs, rounds, ranMs };
        await around.clock.sleep(leftMs, over.signal);
        // This process may have slept itself: what has come meanwhile is read before it is missed.
        await pollTurn();
        await pollTurn();
      }
    };
    const asked = aborted(stop, over.signal).then((): Outcome => ({ kind: 'asked-to-stop' }));
    const ended = child.ended.then((end): Outcome => {
      if (!over.signal.aborted) take(plan.framer.end());
      return { kind: 'ended', end, rounds, ranMs: around.clock.elapsedMs() - startMs, noise };
    });
    const outcome = await Promise.race([ended, silence(), asked]);
    over.abort();
    gap.abort();
    if (outcome.kind !== 'ended') await this.#endChild(child);
    gone.resolve();
    return outcome;
  }

  async #endChild(child: LoopChild): Promise<void> {
    child.kill();
    const { clock } = this.#deps.around;
    const waited = new AbortController();
    const late = clock.sleep(this.#deps.limits.killMs, waited.signal).then(() => 'late' as const);
    const outcome = await Promise.race([child.ended.then(() => 'gone' as const), late]);
    waited.abort();
    if (outcome === 'gone') return;
    child.letGo();
    this.#abandoned += 1;
    const left = child.ended.then(() => {
      this.#abandoned -= 1;
      this.#pollUntilMs = Number.NEGATIVE_INFINITY;
      this.#wakeUp();
    });
    this.#deps.abandon(left);
  }

  async #poll(signal: AbortSignal): Promise<void> {
    const { around, periodMs, limits, random, once } = this.#deps;
    const startMs = around.clock.elapsedMs();
    if (this.#state !== 'backing-off') this.#state = 'falling-back';
    try {
      const round = await once(signal);
      if (this.#accept(round)) {
        this.#failures = 0;
        this.#state = 'falling-back';
      }
    } catch (fault) {
      if (signal.aborted) return;
      this.#failures += 1;
      this.#state = 'backing-off';
      this.#lastError = textOf(fault);
    }
    const restMs = Math.max(periodMs - (around.clock.elapsedMs() - startMs), backOffMs(this.#failures, limits, random), 0);
    await this.#sleep(restMs, signal);
  }

  #accept(round: Round): boolean {
    try {
      this.#deps.onRound(round);
    } catch (fault) {
      this.#lastError = textOf(fault);
      return false;
    }
    this.#lastSuccessAtMs = this.#deps.around.clock.nowMs();
    this.#lastError = undefined;
    return true;
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    this.#wake = new AbortController();
    const until = AbortSignal.any([signal, this.#wake.signal]);
    if (ms === Number.POSITIVE_INFINITY) await aborted(until);
    else await this.#deps.around.clock.sleep(ms, until);
  }

  #wakeUp(): void {
    this.#wake.abort();
  }
}

/** Settles when `signal` is aborted; listens no longer than until `over` is. */
function aborted(signal: AbortSignal, over?: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), over === undefined ? { once: true } : { once: true, signal: over });
  });
}

/** Ends after the event loop has looked at its pipes once more. */
function pollTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function textOf(fault: unknown): string {
  return fault instanceof DriverFault || fault instanceof Error ? fault.message : String(fault);
}
