import { createHash } from 'node:crypto';
import type { SubmitWorkload } from '@astrago/api';
import { parseWorkloadName, parseWorkspaceName, type WorkloadId } from '@astrago/shared/domain/ids';
import { parseProfileName } from '@astrago/shared/domain/mig/profile';
import type { GpuAsk, WorkloadRecord } from '#core/cluster/records';
import type { Journal } from '../journal.ts';
import type { Store } from '../ports.ts';
import { Refusal } from '../refusal.ts';

export interface SubmitDeps {
  readonly journal: Journal;
  readonly store: Pick<Store, 'findIdempotency' | 'findWorkload'>;
  readonly nextWorkloadId: () => WorkloadId;
  readonly nextSequence: () => number;
  readonly nowMs: () => number;
}

/** Accepts a workload into the queue. The same key with the same request gives the same workload again. */
export async function submit(deps: SubmitDeps, actor: string, ask: SubmitWorkload, key: string | undefined): Promise<WorkloadRecord> {
  const fingerprint = createHash('sha256').update(JSON.stringify(ask)).digest('hex');
  const name = parseWorkloadName(ask.name);
  const workspace = parseWorkspaceName(ask.workspace);
  if (name === undefined || workspace === undefined) throw new Refusal('invalid-request', 'name and workspace must be DNS labels');
  return deps.journal.commit(actor, (draft) => {
    const earlier = key === undefined ? undefined : (draft.recall(key) ?? deps.store.findIdempotency(key));
    if (earlier !== undefined) {
      // One accepted in this very transaction is in memory only.
      const same = earlier.fingerprint === fingerprint;
      const record = same
        ? (draft.cluster.workloads.get(earlier.workload as WorkloadId) ?? deps.store.findWorkload(earlier.workload, undefined))
        : undefined;
      if (record === undefined) throw new Refusal('idempotency-conflict', `the key ${key} was used for another request; use a new one`);
      return record;
    }
    if (!draft.cluster.workspaces.has(workspace))
      throw new Refusal('not-found', `there is no workspace ${workspace}; an admin makes one with: astrago workspace set ${workspace}`);
    for (const other of draft.cluster.workloads.values()) {
      if (other.name === name && other.workspace === workspace)
        throw new Refusal('name-taken', `${name} is ${other.phase} in workspace ${workspace}; stop it or take another name`);
    }
    const record: WorkloadRecord = {
      id: deps.nextWorkloadId(),
      name,
      workspace,
      command: ask.command,
      environment: ask.environment,
      workingDirectory: ask.workingDirectory,
      graceSeconds: ask.graceSeconds,
      restartable: ask.restartable,
      ask: gpuAsk(ask),
      model: ask.model,
      cpuMilli: ask.cpuMilli,
      memoryMiB: ask.memoryMiB,
      priority: ask.priority,
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
    draft.audit('submit', record.id, `${workspace}/${name}`);
    if (key !== undefined) draft.remember({ key, fingerprint, workload: record.id, atMs: deps.nowMs() });
    return record;
  });
}

function gpuAsk(ask: SubmitWorkload): GpuAsk {
  const profile = ask.slice === undefined ? undefined : parseProfileName(ask.slice);
  if (profile !== undefined) return { kind: 'slice', profile };
  return ask.gpus === undefined || ask.gpus === 0 ? { kind: 'none' } : { kind: 'whole', count: ask.gpus };
}
