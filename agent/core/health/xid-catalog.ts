import type { ConditionKind } from '@astrago/shared/domain/condition';
import { type XidClass, xidRows } from './xid-catalog-data.ts';

export type { XidClass } from './xid-catalog-data.ts';

export interface XidFacts {
  readonly xidClass: XidClass;
  readonly text: string;
}

const catalog: ReadonlyMap<number, XidFacts> = new Map(xidRows.map(([code, xidClass, text]) => [code, { xidClass, text }]));

/** A code of a later driver is a warning: seen by people, and no reason to stop a GPU that may be fine. */
export function xidFacts(code: number): XidFacts {
  return catalog.get(code) ?? { xidClass: 'warning', text: 'not in the catalog of this agent' };
}

export function isCatalogued(code: number): boolean {
  return catalog.has(code);
}

export const conditionOfClass = {
  note: undefined,
  application: 'xid-application',
  warning: 'xid-warning',
  'needs-reset': 'xid-needs-reset',
  'needs-reboot': 'xid-needs-reboot',
} as const satisfies Readonly<Record<XidClass, ConditionKind | undefined>>;
