// The shapes of what people submit, and of what became of it.
import { z } from 'zod';
import { Constraints } from './labels.ts';
import { name } from './name.ts';
import { recordOf } from './record-of.ts';
import { Slice } from './slices.ts';

export const phases = ['queued', 'starting', 'running', 'stopping', 'succeeded', 'failed', 'cancelled'] as const;

const memoryMiB = z.int().min(1).max(1_000_000_000);
const slices = z.int().min(1).max(1024);

const AtLeast = z
  .strictObject({
    memoryMiB: memoryMiB.describe('Of each slice.'),
    computeSlices: z.int().min(1).max(64).default(1).describe('Of each slice.'),
    count: slices.default(1).describe('Slices, on one node.'),
  })
  .meta({ id: 'AtLeast' });

const shareKinds = ['mps', 'time-slicing'] as const;

const Share = z
  .strictObject({
    by: z.enum(shareKinds).default('mps').describe('mps: the driver keeps it to its part. time-slicing: nothing does.'),
    milli: z.int().min(1).max(999).describe('Thousandths of the compute of one GPU.'),
    memoryMiB: memoryMiB.optional().describe('Absent: as large a part of the memory as of the compute.'),
  })
  .meta({ id: 'Share' });

const environmentName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'a variable is letters, digits and _, no digit first');

const work = {
  name,
  workspace: name.default('default'),
  command: z.array(z.string().max(131_072)).min(1).max(4096).describe('Program and arguments; no shell in between.'),
  slice: z
    .string()
    .regex(/^\d+g\.\d+gb(\+me|\+gfx|\+me\.all|-me)?$/, 'write a profile as the driver does, for example 3g.40gb')
    .optional()
    .describe('MIG slices of this profile. Of slice, atLeast, share and gpus one at most; none of them: no GPU.'),
  count: slices.optional().describe('How many slices of that profile, on one node; absent is one. Only with slice.'),
  atLeast: AtLeast.optional().describe('MIG slices of whatever profile is large enough.'),
  share: Share.optional().describe('A part of one GPU that is not cut.'),
  gpus: z.int().min(0).max(1024).optional().describe('Whole GPUs on one node.'),
  model: z.string().max(128).optional().describe('Only GPUs whose model contains these words, any case: h100, a100-sxm4-80gb.'),
  cpuMilli: z.int().min(0).max(10_000_000).default(0),
  memoryMiB: z.int().min(0).max(1_000_000_000).default(0),
  priority: z.int().min(-1000).max(1000).default(0).describe('Larger goes first.'),
  environment: recordOf(environmentName, z.string().max(131_072)).default({}),
  workingDirectory: z.string().max(4096).optional(),
  graceSeconds: z.int().min(0).max(3600).default(10).describe('Between SIGTERM and SIGKILL when stopped.'),
  constraints: Constraints.optional().describe('Where it may go, and beside what; absent: anywhere.'),
  expectedSeconds: z.int().min(1).max(315_360_000).optional().describe('How long it will run, as well as can be told beforehand.'),
  interruptible: z
    .enum(['restart', 'checkpoint'])
    .optional()
    .describe(
      'It may be stopped to make room, and queues again. restart: it begins anew. checkpoint: it saves its work on SIGTERM and goes on from there. Absent: it is left alone.',
    ),
};

type Work = z.output<z.ZodObject<typeof work>>;

function checkAsk({ slice, count, atLeast, share, gpus }: Work, context: z.RefinementCtx): void {
  const [first, ...others] = Object.entries({ slice, atLeast, share, gpus }).flatMap(([key, value]) => (value === undefined ? [] : [key]));
  if (first !== undefined && others.length > 0) {
    const message = `ask for ${[first, ...others].join(' or ')}, not ${others.length === 1 ? 'both' : 'all of them'}`;
    context.addIssue({ code: 'custom', path: [first], message });
  }
  if (count !== undefined && slice === undefined)
    context.addIssue({ code: 'custom', path: ['count'], message: 'count is of slices of a profile: give slice, too' });
}

export const SubmitWorkload = z
  .strictObject(work)
  .superRefine((ask, context) => {
    checkAsk(ask, context);
    if (ask.constraints?.apart !== undefined)
      context.addIssue({ code: 'custom', path: ['constraints', 'apart'], message: 'only the members of a gang can be kept apart' });
  })
  .meta({ id: 'SubmitWorkload' });
export type SubmitWorkload = z.infer<typeof SubmitWorkload>;
export type SubmitWorkloadInput = z.input<typeof SubmitWorkload>;

/** Enough for the largest cluster that one controller serves. */
const membersMax = 1024;
/** Command and environment of all members together, each of which keeps its own. */
const membersMaxBytes = 64 * 1024 * 1024;

export const SubmitGang = z
  .strictObject({
    ...work,
    members: z
      .strictObject({
        count: z.int().min(1).max(membersMax).describe('Workloads of this kind: NAME-0, NAME-1 and so on.'),
        least: z
          .int()
          .min(1)
          .max(membersMax)
          .optional()
          .describe('So many start at once, or none; the others join when there is room. Absent: all.'),
      })
      .describe('Each is told its number and how many there are as GANG_MEMBER, from 0, and GANG_MEMBERS.'),
  })
  .superRefine((ask, context) => {
    checkAsk(ask, context);
    const { count, least = count } = ask.members;
    if (least > count) context.addIssue({ code: 'custom', path: ['members', 'least'], message: `there are only ${count} members` });
    if (JSON.stringify([ask.command, ask.environment]).length * count > membersMaxBytes)
      context.addIssue({
        code: 'custom',
        path: ['members', 'count'],
        message: 'command and environment of so many are above 64 MiB together',
      });
    if (`${ask.name}-${count - 1}`.length > 63)
      context.addIssue({ code: 'custom', path: ['name'], message: `with the numbers of ${count} members it is longer than 63` });
  })
  .meta({ id: 'SubmitGang' });
export type SubmitGang = z.infer<typeof SubmitGang>;
export type SubmitGangInput = z.input<typeof SubmitGang>;

export const DeviceShare = z
  .object({
    by: z.enum(shareKinds),
    milli: z.int().describe('Thousandths of its compute.'),
    memoryMiB: z.int().optional().describe('Absent where the memory of the GPU is not known.'),
  })
  .meta({ id: 'DeviceShare' });

export const AllocatedDevice = z
  .object({
    gpuUuid: z.string(),
    gpuIndex: z.int().optional(),
    slice: Slice.optional().describe('Absent: the whole GPU, or a share of it.'),
    share: DeviceShare.optional().describe('Absent: nobody else holds the device.'),
  })
  .meta({ id: 'AllocatedDevice' });

export const enforcementClasses = ['hardware', 'driver', 'advisory', 'none'] as const;

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
    count: z.int().optional().describe('Slices of that profile; absent is one.'),
    atLeast: AtLeast.optional(),
    share: Share.optional(),
    gpus: z.int().optional(),
    model: z.string().optional(),
    cpuMilli: z.int(),
    memoryMiB: z.int(),
    priority: z.int(),
    constraints: Constraints.optional(),
    gang: z
      .object({ name: z.string(), least: z.int(), members: z.int() })
      .optional()
      .describe('Workloads that start together, so many of them at least; absent: it runs alone.'),
    interruptible: z.enum(['restart', 'checkpoint']).optional(),
    eviction: z
      .object({
        cause: z.enum(['reclaimed', 'preempted', 'moved']),
        beneficiary: z.string().describe('Id of the workload it made room for.'),
        atMs: z.number(),
        count: z.int().describe('How often it was evicted.'),
      })
      .optional()
      .describe('The latest: while it is stopping it is being evicted, and queues again. Absent: none.'),
    node: z.string().optional(),
    devices: z.array(AllocatedDevice),
    borrowed: z.boolean().optional().describe('It holds more than is guaranteed to its workspace. Absent: no, or not placed.'),
    enforcement: z.enum(enforcementClasses).describe('What keeps it within its devices.'),
    submittedAtMs: z.number(),
    placedAtMs: z.number().optional(),
    startedAtMs: z.number().optional(),
    endedAtMs: z.number().optional(),
    expectedSeconds: z.int().optional(),
    expectedEndMs: z.number().optional().describe('By what was said of its length; absent before it runs, and once it has ended.'),
  })
  .meta({ id: 'Workload' });
export type Workload = z.infer<typeof Workload>;

export const Gang = z
  .object({
    name: z.string(),
    workspace: z.string(),
    least: z.int().describe('So many start at once, or none.'),
    members: z.int(),
    items: z.array(Workload).describe('All members, in order.'),
  })
  .meta({ id: 'Gang' });
export type Gang = z.infer<typeof Gang>;
