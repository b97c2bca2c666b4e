// The shapes of the API. Times are ms since the epoch; quantities name their unit; what is unknown is absent.
import { z } from 'zod';

const name = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'use lower-case letters, digits and dashes, 63 at most')
  .describe('A DNS label.');

export const Slice = z
  .object({
    profile: z.string().describe('As the driver spells it: 3g.40gb.'),
    start: z.int().min(0).describe('In placement units of the device.'),
  })
  .meta({ id: 'Slice' });

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
  })
  .meta({ id: 'Node' });
export type Node = z.infer<typeof Node>;

export const phases = ['queued', 'starting', 'running', 'stopping', 'succeeded', 'failed', 'cancelled'] as const;

export const SubmitWorkload = z
  .strictObject({
    name,
    workspace: name.default('default'),
    command: z.array(z.string().max(131_072)).min(1).max(4096).describe('Program and arguments; no shell in between.'),
    slice: z
      .string()
      .regex(/^\d+g\.\d+gb(\+me|\+gfx|\+me\.all|-me)?$/, 'write a profile as the driver does, for example 3g.40gb')
      .optional()
      .describe('One MIG slice of this profile. Not together with gpus.'),
    gpus: z.int().min(0).max(1024).optional().describe('Whole GPUs on one node. Not together with slice. Neither: no GPU.'),
    model: z.string().max(128).optional().describe('Only GPUs whose model contains these words, any case: h100, a100-sxm4-80gb.'),
    cpuMilli: z.int().min(0).max(10_000_000).default(0),
    memoryMiB: z.int().min(0).max(1_000_000_000).default(0),
    priority: z.int().min(-1000).max(1000).default(0).describe('Larger goes first.'),
    environment: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string().max(131_072)).default({}),
    workingDirectory: z.string().max(4096).optional(),
    restartable: z.boolean().default(false).describe('It may be stopped and begun anew elsewhere to make room for others.'),
    graceSeconds: z.int().min(0).max(3600).default(10).describe('Between SIGTERM and SIGKILL when stopped.'),
  })
  .refine((ask) => ask.slice === undefined || ask.gpus === undefined, {
    path: ['slice'],
    message: 'ask for a slice or for whole GPUs, not both',
  })
  .meta({ id: 'SubmitWorkload' });
export type SubmitWorkload = z.infer<typeof SubmitWorkload>;
export type SubmitWorkloadInput = z.input<typeof SubmitWorkload>;

export const AllocatedDevice = z
  .object({ gpuUuid: z.string(), gpuIndex: z.int().optional(), slice: Slice.optional().describe('Absent: the whole GPU.') })
  .meta({ id: 'AllocatedDevice' });

export const Workload = z
  .object({
    id: z.string(),
    name: z.string(),
    workspace: z.string(),
    phase: z.enum(phases),
    reason: z.string().optional().describe('From a closed list: why it waits, or why it ended.'),
    detail: z.string().optional().describe('One sentence for a person.'),
    exitCode: z.int().optional(),
    command: z.array(z.string()),
    slice: z.string().optional(),
    gpus: z.int().optional(),
    model: z.string().optional(),
    cpuMilli: z.int(),
    memoryMiB: z.int(),
    priority: z.int(),
    node: z.string().optional(),
    devices: z.array(AllocatedDevice),
    enforcement: z.enum(['hardware', 'none']).describe('What keeps it within its devices.'),
    submittedAtMs: z.number(),
    placedAtMs: z.number().optional(),
    startedAtMs: z.number().optional(),
    endedAtMs: z.number().optional(),
  })
  .meta({ id: 'Workload' });
export type Workload = z.infer<typeof Workload>;

export const ReasonCount = z
  .object({ reason: z.string(), count: z.int().describe('How many GPUs, or nodes for a reason about nodes.'), text: z.string() })
  .meta({ id: 'ReasonCount' });

export const Why = z
  .object({
    workload: z.string(),
    phase: z.enum(phases),
    sentence: z.string().describe('The whole answer in one sentence.'),
    reason: z.string().optional().describe('The primary reason, from a closed list.'),
    counts: z.array(ReasonCount),
    remedies: z
      .array(z.object({ kind: z.string(), text: z.string() }))
      .describe('Each was tried on a copy of the cluster and makes the workload fit.'),
  })
  .meta({ id: 'Why' });
export type Why = z.infer<typeof Why>;

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

export const Workspace = z
  .object({
    name: z.string(),
    limit: z.object({ compute: z.number().optional(), memory: z.number().optional() }).describe('Slice units; absent is unlimited.'),
    used: SliceUnits,
    queued: z.int(),
    running: z.int(),
  })
  .meta({ id: 'Workspace' });
export type Workspace = z.infer<typeof Workspace>;

export const PutWorkspace = z
  .strictObject({ limit: z.strictObject({ compute: z.number().min(0).optional(), memory: z.number().min(0).optional() }) })
  .meta({ id: 'PutWorkspace' });

export const Proposal = z
  .object({
    id: z.string().describe('The same for the same plan.'),
    model: z.string(),
    madeAtMs: z.number(),
    text: z.string().describe('What fits then, and what it takes.'),
    changes: z.array(z.object({ node: z.string(), gpuUuid: z.string(), before: Layout, layout: Layout })),
    moves: z
      .array(
        z.object({
          workload: z.string(),
          from: z.object({ gpuUuid: z.string(), slice: Slice }),
          to: z.object({ gpuUuid: z.string(), slice: Slice }),
        }),
      )
      .describe('They are stopped where they are and begin anew.'),
    lostSliceSeconds: z.number().describe('Work that is done again: compute slices times seconds.'),
    gains: z.array(z.object({ ask: z.string(), count: z.int() })).describe('What has a place then.'),
    waits: z
      .object({ reason: z.enum(['settling', 'cooling-down', 'would-return']), untilMs: z.number() })
      .optional()
      .describe('Why a pool in mode act does not carry it out yet.'),
  })
  .meta({ id: 'Proposal' });
export type Proposal = z.infer<typeof Proposal>;

export const Pool = z
  .object({
    model: z.string(),
    gpus: z.int(),
    repartition: z.enum(['off', 'propose', 'act']).describe('What is made of plans: nothing, proposals to people, or orders.'),
  })
  .meta({ id: 'Pool', description: 'The GPUs of one model.' });
export type Pool = z.infer<typeof Pool>;

export const PutPool = z.strictObject({ repartition: z.enum(['off', 'propose', 'act']) }).meta({ id: 'PutPool' });

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
