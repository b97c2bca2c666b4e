/** What became of asking the solver. */
export type MilpOutcome =
  | { readonly kind: 'solved'; readonly objective: number; readonly values: Readonly<Record<string, number>> }
  /** The solver ended without an optimum: `Infeasible`, `Time limit reached`. */
  | { readonly kind: 'no-solution'; readonly status: string }
  | { readonly kind: 'timed-out'; readonly afterMs: number }
  | { readonly kind: 'crashed'; readonly detail: string };

/** @param text in the LP format. */
export type Solve = (text: string) => Promise<MilpOutcome>;
