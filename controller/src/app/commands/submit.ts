import { createHash } from 'node:crypto';
import type { SubmitGang, SubmitWorkload } from '@astrago/api';
import { parseWorkloadName, parseWorkspaceName, type WorkloadId, type WorkloadName } from '@astrago/shared/domain/ids';
import { parseProfileName } from '@astrago/shared/domain/mig/profile';
import type { Gang, GpuAsk, WorkloadRecord } from '#core/cluster/records';
import { memberName, memberNumber, membersOf } from '../gangs.ts';
import type { Draft, Journal } from '../journal.ts';
import type { IdempotencyRecord, Store } from '../ports.ts';
import { Refusal } from '../refusal.ts';

export interface SubmitDeps {
  readonly journal: Journal;
  readonly store: Pick<Store, 'findIdempotency' | 'findWorkload' | 'listWorkloads'>;
  readonly nextWorkloadId: () => WorkloadId;
  readonly nextSequence: () => number;
  readonly nowMs: () => number;
}

interface Part {
  readonly name: WorkloadName;
  readonly gang: Gang | undefined;
  readonly environment: Readonly<Record<string, string>>;
}

/** Accepts a workload into the queue. The same key with the same request gives the same workload again. */
export async function submit(deps: SubmitDeps, actor: string, ask: SubmitWorkload, key: string | undefined): Promise<WorkloadRecord> {
  const name = parseWorkloadName(ask.name);
  if (name === undefined) throw new Refusal('invalid-request', 'name must be a DNS label');
  return deps.journal.commit(actor, (draft) => {
    const [record] = accept(deps, draft, ask, key, [{ name, gang: undefined, environment: ask.environment }]);
    return record;
  });
}

/** Accepts all members or none, in order. The same key with the same request gives the same members again. */
export async function submitGang(
  deps: SubmitDeps,
  actor: string,
  ask: SubmitGang,
  key: string | undefined,
): Promise<readonly WorkloadRecord[]> {
  const { count, least = count } = ask.members;
  const gang = { name: ask.name, least, members: count };
  const parts = Array.from({ length: count }, (_, number): Part => {
    const name = parseWorkloadName(memberName(ask.name, number));
    if (name === undefined) throw new Refusal('invalid-request', 'name and number of each member must be a DNS label');
    const place = { GANG_MEMBER: String(number), GANG_MEMBERS: String(count) };
    return { name, gang, environment: { ...place, ...ask.environment } };
  });
  return deps.journal.commit(actor, (draft) => accept(deps, draft, ask, key, parts));
}

type Accepted = readonly [WorkloadRecord, ...WorkloadRecord[]];

function accept(
  deps: SubmitDeps,
  draft: Draft,
  ask: SubmitWorkload | SubmitGang,
  key: string | undefined,
  parts: readonly Part[],
): Accepted {
  const fingerprint = createHash('sha256').update(JSON.stringify(ask)).digest('hex');
  const earlier = key === undefined ? undefined : (draft.recall(key) ?? deps.store.findIdempotency(key));
  if (earlier !== undefined) return acceptedBefore(deps, draft, earlier, fingerprint);
  const workspace = parseWorkspaceName(ask.workspace);
  if (workspace === undefined) throw new Refusal('invalid-request', 'workspace must be a DNS label');
  if (!draft.cluster.workspaces.has(workspace))
    throw new Refusal('not-found', `there is no workspace ${workspace}; an admin makes one with: astrago workspace set ${workspace}`);
  refuseTakenNames(draft, workspace, parts);
  const [first, ...others] = parts.map((part): WorkloadRecord => {
    const record: WorkloadRecord = {
      id: deps.nextWorkloadId(),
      name: part.name,
      workspace,
      command: ask.command,
      environment: part.environment,
      workingDirectory: ask.workingDirectory,
      graceSeconds: ask.graceSeconds,
      ask: gpuAsk(ask),
      model: ask.model,
      cpuMilli: ask.cpuMilli,
      memoryMiB: ask.memoryMiB,
      priority: ask.priority,
      constraints: ask.constraints,
      gang: part.gang,
      expectedSeconds: ask.expectedSeconds,
      interruptible: ask.interruptible,
      sequence: deps.nextSequence(),
      phase: 'queued',
      attempts: 0,
      allocation: undefined,
      node: undefined,
      devices: [],
      endReason: undefined,
      detail: undefined,
      exitCode: undefined,
      submittedAtMs: deps.nowMs(),
      placedAtMs: undefined,
      startedAtMs: undefined,
      endedAtMs: undefined,
    };
    draft.apply({ kind: 'workload', record });
    draft.audit('submit', record.id, `${workspace}/${part.name}`);
    return record;
  });
  if (first === undefined) throw new Refusal('invalid-request', 'a gang has members');
  // A gang is found again by its first member.
  if (key !== undefined) draft.remember({ key, fingerprint, workload: first.id, atMs: deps.nowMs() });
  return [first, ...others];
}

function acceptedBefore(deps: SubmitDeps, draft: Draft, earlier: IdempotencyRecord, fingerprint: string): Accepted {
  const same = earlier.fingerprint === fingerprint;
  // One accepted in this very transaction is in memory only.
  const record = same
    ? (draft.cluster.workloads.get(earlier.workload as WorkloadId) ?? deps.store.findWorkload(earlier.workload, undefined))
    : undefined;
  if (record === undefined) throw new Refusal('idempotency-conflict', `the key ${earlier.key} was used for another request; use a new one`);
  const [, ...others] = membersOf(draft.cluster, deps.store, record);
  return [record, ...others];
}

/** A gang takes its own name and those of all its members until the last of them has ended. */
function refuseTakenNames(draft: Draft, workspace: string, parts: readonly Part[]): void {
  const wanted = new Set<string>(parts.map(({ name }) => name));
  const gang = parts[0]?.gang;
  if (gang !== undefined) wanted.add(gang.name);
  const looked = new Set<string>();
  for (const other of draft.cluster.workloads.values()) {
    if (other.workspace !== workspace) continue;
    if (wanted.has(other.name))
      throw new Refusal('name-taken', `${other.name} is ${other.phase} in workspace ${workspace}; stop it or take another name`);
    const live = other.gang;
    if (live === undefined || looked.has(live.name)) continue;
    looked.add(live.name);
    const taken = [...wanted].find((name) => name === live.name || memberNumber(live, name) !== undefined);
    if (taken !== undefined)
      throw new Refusal(
        'name-taken',
        `${taken} belongs to the gang ${live.name}, of which ${other.name} is ${other.phase} in workspace ${workspace}; stop the gang or take another name`,
      );
  }
}

function gpuAsk({ slice, count, atLeast, share, gpus }: SubmitWorkload): GpuAsk {
  const profile = slice === undefined ? undefined : parseProfileName(slice);
  if (profile !== undefined) return { kind: 'slice', profile, ...(count === undefined || count === 1 ? {} : { count }) };
  if (atLeast !== undefined) return { kind: 'least', ...atLeast };
  if (share !== undefined) return { kind: 'share', by: share.by, milli: share.milli, memoryMiB: share.memoryMiB };
  return gpus === undefined || gpus === 0 ? { kind: 'none' } : { kind: 'whole', count: gpus };
}
