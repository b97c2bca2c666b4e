import type { WorkloadRecord } from './records.ts';

/** Names the gang of a workload; `undefined` for work that runs alone. */
export function gangKey({ workspace, gang }: Pick<WorkloadRecord, 'workspace' | 'gang'>): string | undefined {
  return gang === undefined ? undefined : `${workspace}/${gang.name}`;
}
