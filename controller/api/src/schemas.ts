// The shapes of the API. Times are ms since the epoch; quantities name their unit; what is unknown is absent.
import { z } from 'zod';
import { Labels, Taint } from './labels.ts';
import { NodeReservation } from './reservations.ts';
import { Slice } from './slices.ts';
import { DeviceShare, enforcementClasses } from './work.ts';

export const Layout = z
  .discriminatedUnion('kind', [z.object({ kind: z.literal('whole') }), z.object({ kind: z.literal('mig'), slices: z.array(Slice) })])
  .meta({ id: 'Layout' });

export const Condition = z
  .object({
    kind: z.string().describe('From a closed list.'),
    detail: z.string(),
    sinceMs: z.number(),
    severity: z.enum(['info', 'warning', 'critical']),
    action: z.enum(['none', 'drain', 'reset', 'reboot']).describe('What brings it back. drain: let what runs end, and look again.'),
    keepsWorkAway: z.boolean().describe('Nothing new is placed there; what runs is left alone.'),
  })
  .meta({ id: 'Condition' });

export const SliceUnits = z
  .object({ compute: z.number(), memory: z.number() })
  .meta({ id: 'SliceUnits', description: 'Compute slices and memory slices of the GPUs own grids.' });

export const GpuSlice = z
  .object({
    profile: z.string(),
    start: z.int(),
    size: z.int(),
    migUuid: z.string().optional().describe('Absent until the driver has made it.'),
    workload: z.string().optional().describe('Absent when free.'),
    state: z.enum(['live', 'wanted', 'unwanted']).describe('wanted: ordered, not made yet; unwanted: there, not ordered.'),
  })
  .meta({ id: 'GpuSlice' });

export const Gpu = z
  .object({
    node: z.string(),
    index: z.int(),
    uuid: z.string(),
    model: z.string(),
    memoryMiB: z.int().optional(),
    migCapable: z.boolean(),
    migEnabled: z.boolean(),
    layout: Layout.optional().describe('What is ordered; absent while nothing was ordered.'),
    layoutPinned: z.boolean().describe('An admin chose the layout; the scheduler does not recut it.'),
    slices: z.array(GpuSlice),
    workload: z.string().optional().describe('The workload that holds the whole GPU.'),
    shares: z
      .array(DeviceShare.extend({ workload: z.string(), enforcement: z.enum(enforcementClasses) }).meta({ id: 'GpuShare' }))
      .describe('Who holds how much of the GPU where it is shared; empty where it is not.'),
    units: SliceUnits,
    allocatedUnits: SliceUnits,
    utilizationRatio: z.number().optional().describe('0 to 1; absent under MIG.'),
    memoryUsedMiB: z.number().optional(),
    temperatureCelsius: z.number().optional(),
    powerWatts: z.number().optional(),
    conditions: z.array(Condition),
  })
  .meta({ id: 'Gpu' });
export type Gpu = z.infer<typeof Gpu>;

export const Node = z
  .object({
    name: z.string(),
    state: z.enum(['ready', 'unreachable', 'joining']),
    stateDetail: z.string().optional().describe('Why it is not ready, where that is known.'),
    cordoned: z.boolean(),
    labels: Labels.describe('What people say of the node; work can ask for it.'),
    taints: z.array(Taint).describe('Only work that tolerates each of them is placed there.'),
    gpuCount: z.int(),
    models: z.array(z.string()),
    cpuMilli: z.int().optional(),
    cpuMilliAllocated: z.int(),
    memoryMiB: z.int().optional(),
    memoryMiBAllocated: z.int(),
    units: SliceUnits,
    allocatedUnits: SliceUnits,
    agentVersion: z.string().optional(),
    driverVersion: z.string().optional(),
    lastSeenMs: z.number().optional(),
    conditions: z.array(Condition),
    reservations: z.array(NodeReservation).default([]).describe('Those that are not over, the first to begin first.'),
  })
  .meta({ id: 'Node' });
export type Node = z.infer<typeof Node>;

export const SetLayout = z
  .strictObject({
    layout: z.string().max(1024).optional().describe('whole, mig, or profiles: 3g.40gb,1g.10gb*4 or 3g.40gb@4. The layout is pinned.'),
    automatic: z.boolean().optional().describe('true gives the GPU back to the scheduler; instead of layout.'),
  })
  .refine((ask) => (ask.layout === undefined) !== (ask.automatic === undefined), { message: 'give layout or automatic' })
  .meta({ id: 'SetLayout' });

export const LayoutPlan = z
  .object({
    node: z.string(),
    index: z.int(),
    uuid: z.string(),
    applied: z.boolean().describe('false for a dry run.'),
    layout: Layout,
    keep: z.array(Slice.extend({ workload: z.string().optional() })),
    create: z.array(Slice),
    destroy: z.array(Slice),
    modeChange: z.enum(['none', 'enable', 'disable']),
    text: z.string(),
  })
  .meta({ id: 'LayoutPlan' });
export type LayoutPlan = z.infer<typeof LayoutPlan>;

export const InvariantAudit = z
  .object({
    checkedAtMs: z.number(),
    allocations: z.int(),
    findings: z.array(z.object({ invariant: z.string(), text: z.string() })),
    rounds: z.int().describe('How often the audit loop has looked since the start.'),
    findingsSinceStart: z.int(),
  })
  .meta({ id: 'InvariantAudit' });
export type InvariantAudit = z.infer<typeof InvariantAudit>;

export const ClusterInfo = z
  .object({ version: z.string(), epoch: z.int(), startedAtMs: z.number(), nodes: z.int(), gpus: z.int() })
  .meta({ id: 'ClusterInfo' });
