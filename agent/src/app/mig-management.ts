// Who cuts the GPUs of this node. Two programs that both do would undo each other's work for ever, under the feet of users.
import type { Clock } from '@astrago/shared/runtime/clock';
import { Loop } from '@astrago/shared/runtime/loop';
import { type NodeState, nodeKey } from './node-state.ts';

export type LayoutAuthority = { readonly kind: 'yes' } | { readonly kind: 'no'; readonly because: string };

/**
 * `auto`: layouts are changed as long as no other MIG manager is found here. `observe`: never. `take-over`: always, which
 * is an operator's word that the other one was told to stay away.
 */
export type MigManagementMode = 'auto' | 'observe' | 'take-over';

/** A place where another MIG manager would show. */
export interface MigManagerFinder {
  /** What was found, each in words that go after "found": `the process nvidia-mig-manager (4711)`. Throws when it cannot look. */
  find(): Promise<readonly string[]>;
}

export interface MigManagementDeps {
  readonly mode: MigManagementMode;
  readonly finders: readonly MigManagerFinder[];
  readonly state: NodeState;
  readonly clock: Clock;
  readonly periodMs: number;
  /** The answer to {@link MigManagement.mayChangeLayouts} is another one. */
  readonly onChange: () => void;
  readonly log: (facts: object, message: string) => void;
}

const setting = 'ASTRAGO_MIG_MANAGEMENT';
const unknown = 'it is not known yet whether another program manages MIG on this node';

/** @throws when it is none of the three; not set is `auto`. */
export function parseMigManagement(text: string | undefined): MigManagementMode {
  if (text === undefined || text === '' || text === 'auto') return 'auto';
  if (text === 'observe' || text === 'take-over') return text;
  throw new Error(`${setting} must be auto, observe or take-over, not ${JSON.stringify(text)}`);
}

/** Looks for other managers again and again, and tells what follows: an answer to the loops, a condition on the node. */
export class MigManagement {
  readonly #deps: MigManagementDeps;
  readonly #loop: Loop;
  #authority: LayoutAuthority;

  constructor(deps: MigManagementDeps) {
    this.#deps = deps;
    this.#authority = deps.mode === 'auto' ? { kind: 'no', because: unknown } : answerTo(deps.mode, []);
    this.#loop = new Loop({
      once: () => this.look(),
      periodMs: deps.periodMs,
      clock: deps.clock,
      onFailure: (failure) => this.#blind(failure),
    });
  }

  /** For the moment: to be asked before each step. */
  mayChangeLayouts(): LayoutAuthority {
    return this.#authority;
  }

  /** One look. What could not be looked at leaves the answer as it was. */
  async look(): Promise<void> {
    const { mode, finders } = this.#deps;
    if (mode === 'observe') return this.#decide(answerTo(mode, []));
    const found = (await Promise.all(finders.map((finder) => finder.find()))).flat();
    this.#decide(answerTo(mode, found));
    if (mode === 'take-over' && found.length > 0)
      this.#deps.log({ found }, 'another MIG manager is here, and layouts are changed all the same');
  }

  /** Until the signal is aborted; the first look is made at once. */
  run(signal: AbortSignal): Promise<void> {
    return this.#loop.run(signal);
  }

  #decide(authority: LayoutAuthority): void {
    const { state, log } = this.#deps;
    const [before, after] = [reasonOf(this.#authority), reasonOf(authority)];
    this.#authority = authority;
    state.setCondition(nodeKey, 'other-mig-manager', after);
    if (before === after) return;
    // That they may be changed, as on nearly every node, is no news at the start.
    if (after !== undefined) log({ because: after }, 'layouts are only observed');
    else if (before !== unknown) log({}, 'layouts are changed again');
    this.#deps.onChange();
  }

  #blind(failure: unknown): void {
    this.#deps.log({ failure: failure instanceof Error ? failure.message : String(failure) }, 'looking for other MIG managers failed');
  }
}

function answerTo(mode: MigManagementMode, found: readonly string[]): LayoutAuthority {
  switch (mode) {
    case 'take-over':
      return { kind: 'yes' };
    case 'observe':
      return { kind: 'no', because: `layouts are observed and not changed, because ${setting}=observe says so` };
    case 'auto': {
      if (found.length === 0) return { kind: 'yes' };
      const remedy = `Disable it and stop it, or set ${setting}=take-over once it stays away from these GPUs`;
      return {
        kind: 'no',
        because: `layouts are observed and not changed, because another MIG manager was found: ${found.join(', ')}. ${remedy}`,
      };
    }
    default:
      return mode satisfies never;
  }
}

function reasonOf(authority: LayoutAuthority): string | undefined {
  return authority.kind === 'no' ? authority.because : undefined;
}
