import { type Amounts, entriesOf, type ResourceName } from './amounts.ts';

/** What an admin sets for a department, a team or a workspace. */
export interface QuotaSpec {
  /** Unique in the organisation. */
  readonly name: string;
  /** Absent directly under the organisation. Only leaves hold work. */
  readonly parent?: string | undefined;
  /** What is always there for it, by taking it back from borrowers if need be. */
  readonly guaranteed: Amounts;
  /** The most it may hold, borrowed or not; a limit on `compute` counts all classes. */
  readonly limit: Amounts;
  /** Its part of what is left over, beside its siblings; more than 0, 1 when absent. */
  readonly weight?: number | undefined;
}

export type QuotaFault =
  | { readonly kind: 'duplicate'; readonly name: string }
  | { readonly kind: 'no-such-parent'; readonly name: string; readonly parent: string }
  | { readonly kind: 'circle'; readonly name: string }
  | { readonly kind: 'bad-weight'; readonly name: string }
  | { readonly kind: 'bad-amount'; readonly name: string; readonly resource: ResourceName }
  | {
      /** The promises below a node come to more than its own: they cannot all be kept at once. */
      readonly kind: 'overcommitted';
      readonly name: string;
      readonly resource: ResourceName;
      readonly guaranteed: number;
      readonly promised: number;
    };

/** What is wrong with the quotas before a tree is made of them; `QuotaTree.overcommitments` finds the rest. */
export function findFaults(root: string, specs: readonly QuotaSpec[]): readonly QuotaFault[] {
  const faults: QuotaFault[] = [];
  const parents = new Map<string, string>();
  for (const { name, parent = root } of specs) {
    if (name === root || parents.has(name)) faults.push({ kind: 'duplicate', name });
    parents.set(name, parent);
  }
  for (const spec of specs) {
    const { name, parent = root } = spec;
    if (parent !== root && !parents.has(parent)) faults.push({ kind: 'no-such-parent', name, parent });
    if (isBelowItself(name, parents)) faults.push({ kind: 'circle', name });
    const { weight = 1 } = spec;
    if (!(weight > 0) || !Number.isFinite(weight)) faults.push({ kind: 'bad-weight', name });
    for (const [resource, amount] of [...entriesOf(spec.guaranteed), ...entriesOf(spec.limit)])
      if (!(amount >= 0) || !Number.isFinite(amount)) faults.push({ kind: 'bad-amount', name, resource });
  }
  return faults;
}

function isBelowItself(name: string, parents: ReadonlyMap<string, string>): boolean {
  const seen = new Set<string>();
  for (let at = parents.get(name); at !== undefined && !seen.has(at); at = parents.get(at)) {
    if (at === name) return true;
    seen.add(at);
  }
  return false;
}
