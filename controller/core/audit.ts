// An independent look at the invariants: it reads the records and shares no code with the placement.
import type { AllocationId, GpuUuid, WorkspaceName } from '@astrago/shared/domain/ids';
import { describeViolation, violationsOf } from '@astrago/shared/domain/mig/layout';
import { formatSlice, overlaps, sameSlice, spanOf } from '@astrago/shared/domain/mig/slice';
import type { Cluster } from './cluster/cluster.ts';
import { gangKey } from './cluster/gangs.ts';
import type { AllocatedDevice, DeviceShare, WorkloadRecord } from './cluster/records.ts';

export interface Finding {
  readonly invariant: 'I1' | 'sums' | 'layout' | 'leak' | 'lifecycle' | 'gang';
  readonly text: string;
}

export function auditInvariants(cluster: Cluster): readonly Finding[] {
  return [...overlapping(cluster), ...sums(cluster), ...layouts(cluster), ...lifecycle(cluster), ...gangs(cluster)];
}

interface HeldDevice extends AllocatedDevice {
  readonly id: AllocationId;
}

function heldByGpu(cluster: Cluster): ReadonlyMap<GpuUuid, readonly HeldDevice[]> {
  const held = [...cluster.allocations.values()].flatMap(({ id, devices }) => devices.map((device): HeldDevice => ({ id, ...device })));
  return Map.groupBy(held, ({ gpu }) => gpu);
}

function overlapping(cluster: Cluster): readonly Finding[] {
  const found: Finding[] = [];
  for (const [uuid, devices] of heldByGpu(cluster)) {
    const shares = devices.flatMap(({ share }) => share ?? []);
    const names = devices.map(({ id }) => id).join(', ');
    const wholes = devices.filter(({ slice, share }) => slice === undefined && share === undefined).length;
    if (wholes > 0 && devices.length > 1) found.push({ invariant: 'I1', text: `${uuid} is held whole and by others: ${names}` });
    else if (shares.length > 0 && shares.length < devices.length)
      found.push({ invariant: 'I1', text: `${uuid} is shared and cut at once: ${names}` });
    if (shares.length > 0) found.push(...oversharing(uuid, shares, cluster.gpu(uuid)?.memoryMiB));
    const grid = cluster.gpu(uuid)?.grid;
    if (grid === undefined) continue;
    for (const [index, a] of devices.entries()) {
      for (const b of devices.slice(index + 1)) {
        const first = a.slice === undefined ? undefined : spanOf(grid, a.slice);
        const second = b.slice === undefined ? undefined : spanOf(grid, b.slice);
        if (first !== undefined && second !== undefined && overlaps(first, second)) {
          found.push({ invariant: 'I1', text: `${a.id} and ${b.id} overlap on ${uuid}` });
        }
      }
    }
  }
  return found;
}

function oversharing(uuid: GpuUuid, shares: readonly DeviceShare[], gpuMemoryMiB: number | undefined): readonly Finding[] {
  const texts: string[] = [];
  if (new Set(shares.map(({ by }) => by)).size > 1) texts.push(`${uuid} is shared in two ways at once`);
  const milli = shares.reduce((sum, share) => sum + share.milli, 0);
  if (milli > 1000) texts.push(`${milli} thousandths of ${uuid} are promised`);
  const memoryMiB = shares.reduce((sum, share) => sum + (share.memoryMiB ?? 0), 0);
  if (gpuMemoryMiB !== undefined && memoryMiB > gpuMemoryMiB)
    texts.push(`${memoryMiB} MiB of ${uuid} are promised, and it has ${gpuMemoryMiB}`);
  return texts.map((text) => ({ invariant: 'I1', text }));
}

function sums(cluster: Cluster): readonly Finding[] {
  const found: Finding[] = [];
  const used = new Map<WorkspaceName, { compute: number; memory: number }>();
  for (const allocation of cluster.allocations.values()) {
    const sum = used.get(allocation.workspace) ?? { compute: 0, memory: 0 };
    used.set(allocation.workspace, { compute: sum.compute + allocation.units.compute, memory: sum.memory + allocation.units.memory });
  }
  for (const name of new Set([...used.keys(), ...cluster.workspaces.keys()])) {
    const counted = used.get(name) ?? { compute: 0, memory: 0 };
    const kept = cluster.usedBy(name);
    if (toThousandth(counted.compute) !== kept.compute || toThousandth(counted.memory) !== kept.memory) {
      found.push({
        invariant: 'sums',
        text: `workspace ${name} uses ${counted.compute}/${counted.memory} slice units, the account says ${kept.compute}/${kept.memory}`,
      });
    }
  }
  for (const node of cluster.observed.values()) {
    const allocations = cluster.allocationsOnNode(node.name);
    const cpu = allocations.reduce((sum, allocation) => sum + allocation.cpuMilli, 0);
    const memory = allocations.reduce((sum, allocation) => sum + allocation.memoryMiB, 0);
    if (node.state === 'ready' && (cpu > node.cpuMilli || memory > node.memoryMiB)) {
      found.push({ invariant: 'sums', text: `node ${node.name} is promised beyond its CPU or memory` });
    }
  }
  return found;
}

function toThousandth(units: number): number {
  return Math.round(1000 * units) / 1000;
}

function layouts(cluster: Cluster): readonly Finding[] {
  const found: Finding[] = [];
  for (const record of cluster.layouts.values()) {
    const grid = cluster.gpu(record.gpu)?.grid;
    if (grid === undefined || record.layout.kind === 'whole') continue;
    for (const violation of violationsOf(grid, record.layout.slices)) {
      found.push({ invariant: 'layout', text: `${record.gpu}: ${describeViolation(violation)}` });
    }
  }
  for (const allocation of cluster.allocations.values()) {
    for (const { gpu, slice } of allocation.devices) {
      const ordered = cluster.layouts.get(gpu)?.layout;
      const held =
        slice === undefined
          ? ordered?.kind === 'whole'
          : ordered?.kind === 'mig' && ordered.slices.some((other) => sameSlice(other, slice));
      if (held !== true) {
        found.push({
          invariant: 'layout',
          text: `${allocation.id} holds ${slice === undefined ? 'the whole' : formatSlice(slice)} of ${gpu}, which is not ordered`,
        });
      }
    }
  }
  return found;
}

/** Every allocation belongs to someone or is on its way out; every placed workload has its allocation. */
function lifecycle(cluster: Cluster): readonly Finding[] {
  const found: Finding[] = [];
  for (const allocation of cluster.allocations.values()) {
    if (cluster.workloads.get(allocation.workload)?.allocation !== allocation.id && allocation.intent !== 'stop') {
      found.push({ invariant: 'leak', text: `${allocation.id} is held by no workload and not told to stop` });
    }
  }
  const held = new Set<AllocationId>(cluster.allocations.keys());
  for (const workload of cluster.workloads.values()) {
    if (workload.phase !== 'queued' && (workload.allocation === undefined || !held.has(workload.allocation))) {
      found.push({ invariant: 'lifecycle', text: `${workload.name} is ${workload.phase} without an allocation` });
    }
  }
  return found;
}

/**
 * No gang runs with fewer than must start at once. One of which a member has ended may, and one of which a member was
 * stopped, or could not be created, and queues again.
 */
function gangs(cluster: Cluster): readonly Finding[] {
  const members = Map.groupBy(cluster.workloads.values(), gangKey);
  members.delete(undefined);
  return [...members].flatMap(([key, all]): readonly Finding[] => {
    const [first] = all;
    if (first?.gang === undefined || all.length < first.gang.members || all.some(hasRunBefore)) return [];
    const placed = all.filter(({ phase }) => phase !== 'queued').length;
    if (placed === 0 || placed >= first.gang.least) return [];
    return [{ invariant: 'gang', text: `${placed} of gang ${key} are placed, and ${first.gang.least} must start at once` }];
  });
}

function hasRunBefore({ phase, attempts, eviction }: WorkloadRecord): boolean {
  return phase === 'queued' && (attempts > 0 || eviction !== undefined);
}
