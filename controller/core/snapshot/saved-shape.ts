// The shape of a snapshot, record by record.
import { conditionKinds } from '@astrago/shared/domain/condition';
import { byKind, exactly, flag, list, mapOf, number, object, optional, type Shape, text } from './shape.ts';
import { snapshotFormat, snapshotVersion } from './snapshot.ts';

const units = object({ compute: number, memory: number });
const slice = object({ profile: text, start: number });
const share = exactly('mps', 'time-slicing');
const amounts: Readonly<Record<string, Shape>> = {
  compute: optional(number),
  memory: optional(number),
  cpuMilli: optional(number),
  memoryMiB: optional(number),
};
const quota = object({ ...amounts, models: optional(mapOf(object({ compute: optional(number), memory: optional(number) }))) });

const ask = byKind({
  none: {},
  slice: { profile: text, count: optional(number) },
  least: { memoryMiB: number, computeSlices: number, count: number },
  whole: { count: number },
  share: { by: share, milli: number, memoryMiB: optional(number) },
});

const wish = object({ level: text, required: flag });
const constraints = object({
  nodeLabels: optional(mapOf(text)),
  tolerations: optional(list(text)),
  together: optional(list(wish)),
  apart: optional(wish),
});

const device = object({
  gpu: text,
  slice: optional(slice),
  share: optional(object({ by: share, milli: number, memoryMiB: optional(number) })),
});

const workload = object({
  id: text,
  name: text,
  workspace: text,
  command: list(text),
  environment: mapOf(text),
  graceSeconds: number,
  ask,
  model: optional(text),
  cpuMilli: number,
  memoryMiB: number,
  priority: number,
  constraints: optional(constraints),
  gang: optional(object({ name: text, least: number, members: number })),
  expectedSeconds: optional(number),
  interruptible: optional(exactly('restart', 'checkpoint')),
  eviction: optional(object({ cause: text, beneficiary: text, node: text, atMs: number, count: number })),
  sequence: number,
  phase: exactly('queued', 'starting', 'running', 'stopping'),
  attempts: number,
  allocation: optional(text),
  node: optional(text),
  devices: list(device),
  submittedAtMs: number,
  placedAtMs: optional(number),
  startedAtMs: optional(number),
  endedAtMs: optional(number),
  workingDirectory: optional(text),
  endReason: optional(text),
  detail: optional(text),
  exitCode: optional(number),
});

const allocation = object({
  id: text,
  workload: text,
  workspace: text,
  node: text,
  devices: list(device),
  units,
  cpuMilli: number,
  memoryMiB: number,
  intent: exactly('run', 'stop'),
  borrowed: optional(flag),
  placedAtMs: optional(number),
  after: optional(text),
});

const layout = object({
  gpu: text,
  node: text,
  layout: byKind({ whole: {}, mig: { slices: list(slice) } }),
  pinned: flag,
});

const node = object({
  name: text,
  cordoned: flag,
  labels: optional(mapOf(text)),
  taints: optional(list(text)),
});

const workspace = object({
  name: text,
  parent: optional(text),
  limit: quota,
  guaranteed: optional(quota),
  weight: optional(number),
  budget: optional(object({ sliceHours: number, period: text, kind: text })),
});

const condition = object({ kind: exactly(...Object.keys(conditionKinds)), detail: text, sinceMs: number });

const profile = object({
  name: text,
  gpuInstanceProfileId: number,
  computeSlices: number,
  size: number,
  starts: list(number),
  instancesMax: number,
  memoryMiB: number,
});

const gpu = object({
  uuid: text,
  node: text,
  index: number,
  model: text,
  memoryMiB: optional(number),
  grid: optional(object({ placementUnits: number, computeSlices: number, profiles: list(profile) })),
  migEnabled: flag,
  slices: list(slice),
  nvlinkGroup: optional(number),
  numaNode: optional(number),
  conditions: list(condition),
});

const observed = object({
  name: text,
  state: exactly('joining', 'ready', 'unreachable'),
  stateDetail: optional(text),
  agentVersion: optional(text),
  driverVersion: optional(text),
  lastSeenMs: optional(number),
  unreachableSinceMs: optional(number),
  cpuMilli: number,
  memoryMiB: number,
  gpus: list(gpu),
  conditions: list(condition),
  strangers: list(object({})),
});

const counted = object({
  facts: object({
    ask,
    model: optional(text),
    cpuMilli: number,
    memoryMiB: number,
    nodeLabels: optional(mapOf(text)),
    tolerations: optional(list(text)),
  }),
  weight: number,
  at: number,
});

/** What it is at all, before what is in it. */
export const snapshotHead = object({ format: exactly(snapshotFormat), version: exactly(snapshotVersion) });

export const snapshotShape = object({
  nowMs: number,
  dropped: list(text),
  cluster: object({
    workspaces: list(workspace),
    nodes: list(node),
    layouts: list(layout),
    workloads: list(workload),
    allocations: list(allocation),
    observed: list(observed),
    reservations: list(object({ name: text, workspace: text, nodes: list(text), fromMs: number, untilMs: number })),
    asked: object({ total: number, counts: list(counted), ends: object({ weight: number, at: number }) }),
  }),
});
