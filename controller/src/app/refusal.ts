import type { ProblemCode } from '@astrago/api';

/** A command says no. The edge turns the code into its status; the detail says what to do. */
export class Refusal extends Error {
  override name = 'Refusal';
  readonly code: ProblemCode;
  readonly blockers: readonly string[] | undefined;
  constructor(code: ProblemCode, detail: string, blockers?: readonly string[]) {
    super(detail);
    this.code = code;
    this.blockers = blockers;
  }
}
