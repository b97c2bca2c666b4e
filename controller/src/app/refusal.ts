import type { ProblemCode } from '@astrago/api';

/** A command says no. The edge turns the code into its status; the detail says what to do. */
export class Refusal extends Error {
  override name = 'Refusal';
  readonly code: ProblemCode;
  readonly blockers: readonly string[] | undefined;
  /** JSON pointer to what is wrong in the body, where it is one thing. */
  readonly pointer: string | undefined;
  constructor(code: ProblemCode, detail: string, facts: { readonly blockers?: readonly string[]; readonly pointer?: string } = {}) {
    super(detail);
    this.code = code;
    this.blockers = facts.blockers;
    this.pointer = facts.pointer;
  }
}
