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

const raisedAmounts = z.object({
  compute: z.number().optional(),
  memory: z.number().optional(),
  cpuMilli: z.number().optional(),
  memoryMiB: z.number().optional(),
  models: z.record(z.string(), z.object({ compute: z.number().optional(), memory: z.number().optional() })).optional(),
});

const remedyText = { text: z.string().describe('All of it as half a sentence: "fits ..." or "will fit ...".') };

export const Remedy = z
  .discriminatedUnion('kind', [
    z.object({ kind: z.literal('wait-turn'), before: z.int().describe('Workloads that are looked at before it.'), ...remedyText }),
    z.object({
      kind: z.literal('wait-ends'),
      workloads: z.array(z.string()).describe('All of these have to end; the last that does so comes last.'),
      atMs: z.number().describe('When the last of them is expected to have ended.'),
      ...remedyText,
    }),
    z.object({
      kind: z.literal('smaller-ask'),
      ask: z
        .object({
          gpus: z.int().optional(),
          profile: z.string().optional(),
          count: z.int().optional().describe('Of slices.'),
          milli: z.int().optional().describe('Thousandths of a GPU.'),
          cpuMilli: z.int().optional(),
          memoryMiB: z.int().optional(),
          members: z.int().optional().describe('Of the gang that must start together.'),
        })
        .describe('What would fit now in place of what is asked; what is absent stays.'),
      ...remedyText,
    }),
    z.object({
      kind: z.literal('relax'),
      terms: z.object({
        tolerate: z.array(z.string()).optional().describe('Taints to tolerate as well.'),
        labels: z.array(z.string()).optional().describe('Node labels not to insist on.'),
        localities: z.array(z.string()).optional().describe('Levels of closeness, or distance, not to insist on.'),
        model: z.string().optional().describe('Words of a GPU model not to insist on.'),
        interruptible: z.boolean().optional(),
      }),
      ...remedyText,
    }),
    z.object({ kind: z.literal('uncordon'), nodes: z.array(z.string()), gpus: z.int().describe('GPUs of these nodes.'), ...remedyText }),
    z.object({
      kind: z.literal('repartition'),
      gpus: z.array(
        z.object({ node: z.string(), index: z.int(), uuid: z.string(), layout: z.string().describe('As partition --layout takes it.') }),
      ),
      ...remedyText,
    }),
    z.object({ kind: z.literal('raise-limit'), workspace: z.string(), by: raisedAmounts, to: raisedAmounts, ...remedyText }),
    z.object({
      kind: z.literal('mend'),
      things: z.array(
        z.object({
          node: z.string(),
          gpu: z.int().optional().describe('Index; absent: the node as a whole.'),
          conditions: z.array(z.string()).describe('None: the node does not answer.'),
        }),
      ),
      ...remedyText,
    }),
    z.object({
      kind: z.literal('stop'),
      workloads: z.array(z.string()),
      any: z.boolean().describe('One of them is enough; otherwise all have to be stopped.'),
      ...remedyText,
    }),
  ])
  .meta({ id: 'Remedy' });
export type Remedy = z.infer<typeof Remedy>;

export const Trace = z
  .object({
    candidates: z
      .array(
        z.object({
          node: z.string(),
          model: z.string().optional(),
          tier: z.number().describe('Ways with a lower number are preferred, whatever their score.'),
          score: z.number().describe('Higher is better; only to be compared within this trace.'),
          devices: z.array(z.string()).describe('What it would get: "0", "1 3g.40gb@4".'),
          layouts: z.array(z.string()).describe('What would be ordered for it first.'),
        }),
      )
      .describe('The best first, each on another node; at most ten.'),
    rejected: z
      .array(z.object({ node: z.string(), reason: z.string(), counts: z.array(z.object({ reason: z.string(), count: z.int() })) }))
      .describe('At most twenty, by name.'),
    candidateNodes: z.int(),
    rejectedNodes: z.int(),
  })
  .meta({ id: 'Trace' });

export const Why = z
  .object({
    workload: z.string(),
    phase: z.enum(phases),
    sentence: z.string().describe('The whole answer in a few sentences: what it waits for, what was found, what would help most.'),
    reason: z.string().optional().describe('The primary reason, from a closed list.'),
    counts: z.array(ReasonCount),
    lookedAt: z.object({ gpus: z.int(), nodes: z.int() }).optional().describe('Absent for work that does not wait.'),
    before: z.int().optional().describe('So many queued workloads are looked at before it.'),
    gang: z
      .object({
        members: z.int(),
        least: z.int().describe('So many of them start, or none does.'),
        places: z.int().describe('Members that would find room now.'),
        nodes: z.int().describe('Nodes that could take a member now.'),
      })
      .optional(),
    remedies: z
      .array(Remedy)
      .describe('Each was tried on the cluster and undone: after it, the next decision starts the workload. The least harmful first.'),
    trace: Trace.optional().describe('Only where it was asked for.'),
  })
  .meta({ id: 'Why' });
export type Why = z.infer<typeof Why>;

export const Snapshot = z
  .object({
    format: z.literal('astrago-snapshot'),
    version: z.literal(1),
    nowMs: z.number().describe('The time at which a decision on it is made.'),
    dropped: z.array(z.string()).describe('What was left out.'),
    cluster: z.unknown().describe('For "astrago decide"; not part of the contract.'),
  })
  .meta({ id: 'Snapshot', description: 'All that a decision depends on, without commands and values of the environment.' });

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
