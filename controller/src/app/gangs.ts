// The members of a gang were accepted together, so their sequences follow each other: by them a gang is told from an
// earlier one of the same name, and found whole in the store.
import type { Cluster } from '#core/cluster/cluster';
import type { Gang, WorkloadRecord } from '#core/cluster/records';
import type { Store } from './ports.ts';

type Read = Pick<Store, 'findWorkload' | 'listWorkloads'>;

export function memberName(gang: string, number: number): string {
  return `${gang}-${number}`;
}

/** Which member of the gang has this name, from 0; `undefined` when none has. */
export function memberNumber(gang: Pick<Gang, 'name' | 'members'>, name: string): number | undefined {
  const digits = name.startsWith(`${gang.name}-`) ? name.slice(gang.name.length + 1) : '';
  const number = Number(digits);
  return /^(0|[1-9]\d*)$/.test(digits) && number < gang.members ? number : undefined;
}

/** All members of the gang of a workload, in order, ended ones too; the workload alone when it is of none. */
export function membersOf(cluster: Pick<Cluster, 'workloads'>, store: Read, member: WorkloadRecord): readonly WorkloadRecord[] {
  const { gang, workspace } = member;
  const number = gang === undefined ? undefined : memberNumber(gang, member.name);
  if (gang === undefined || number === undefined) return [member];
  const from = member.sequence - number;
  const until = from + gang.members;
  const stored = store.listWorkloads({ workspace, before: until, limit: gang.members });
  // What is accepted in this very transaction is in memory only.
  const found = new Map<number, WorkloadRecord>();
  for (const record of [...stored, ...cluster.workloads.values()])
    if (record.sequence >= from && record.sequence < until) found.set(record.sequence, record);
  return [...found.values()].sort((a, b) => a.sequence - b.sequence);
}

/** The members of the newest gang of that name, live or ended; `undefined` when there is none. */
export function findGang(
  cluster: Pick<Cluster, 'workloads'>,
  store: Read,
  name: string,
  workspace: string | undefined,
): readonly WorkloadRecord[] | undefined {
  const stored = store.findWorkload(memberName(name, 0), workspace);
  let newest = stored?.gang?.name === name ? stored : undefined;
  // The first member may have ended long before the others.
  for (const record of cluster.workloads.values()) {
    if (record.gang?.name !== name || (workspace !== undefined && record.workspace !== workspace)) continue;
    if (newest === undefined || record.sequence > newest.sequence) newest = record;
  }
  return newest === undefined ? undefined : membersOf(cluster, store, newest);
}
