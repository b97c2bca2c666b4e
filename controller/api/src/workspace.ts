// What teams may use, what is theirs, and what they do use.
import { z } from 'zod';
import { name } from './name.ts';
import { recordOf } from './record-of.ts';

const amount = z.number().min(0).max(1e9);
const whole = z.int().min(0).max(1e12);
const modelWords = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9 .-]{0,62}[a-z0-9])?$/, 'name a model by words of it in lower case, for example h100');

export const QuotaAmounts = z
  .strictObject({
    compute: amount.optional().describe('Compute slices of GPUs of any kind.'),
    memory: amount.optional().describe('Memory slices of GPUs of any kind.'),
    cpuMilli: whole.optional(),
    memoryMiB: whole.optional(),
    models: recordOf(modelWords, z.strictObject({ compute: amount.optional(), memory: amount.optional() }))
      .optional()
      .describe('The same of the GPUs whose model holds these words: {"h100": {"compute": 14}}.'),
  })
  .meta({ id: 'QuotaAmounts', description: 'What is absent is not bounded (in a limit), or nothing (in a guarantee).' });
export type QuotaAmounts = z.infer<typeof QuotaAmounts>;

export const Budget = z
  .strictObject({
    sliceHours: z.number().min(0).max(1e12).describe('Hours of compute slices.'),
    period: z.enum(['day', 'week', 'month']),
    kind: z.enum(['hard', 'soft']).describe('hard: nothing starts beyond it. soft: what is beyond it comes last.'),
  })
  .meta({ id: 'Budget' });

const weight = z.number().gt(0).max(1e6);

export const PutWorkspace = z
  .strictObject({
    parent: name.optional().describe('Absent: directly under the organisation, which has all there is.'),
    limit: QuotaAmounts.default({}),
    guaranteed: QuotaAmounts.optional().describe('Its own whenever it asks; what others use of it gives way.'),
    weight: weight.optional().describe('Its part of what is left over, against its siblings; 1 where absent.'),
    budget: Budget.optional(),
  })
  .meta({ id: 'PutWorkspace' });
export type PutWorkspace = z.infer<typeof PutWorkspace>;

const amountsChange = z.strictObject({
  compute: amount.nullish(),
  memory: amount.nullish(),
  cpuMilli: whole.nullish(),
  memoryMiB: whole.nullish(),
  models: recordOf(modelWords, z.strictObject({ compute: amount.nullish(), memory: amount.nullish() }).nullable()).nullish(),
});

export const ChangeWorkspace = z
  .strictObject({
    parent: name.nullish(),
    limit: amountsChange.nullish(),
    guaranteed: amountsChange.nullish(),
    weight: weight.nullish(),
    budget: Budget.nullish(),
  })
  .meta({ id: 'ChangeWorkspace', description: 'What is absent stays as it is, at every level; null takes it away.' });
export type ChangeWorkspace = z.infer<typeof ChangeWorkspace>;

const WorkspaceUse = z
  .object({ compute: z.number(), memory: z.number(), cpuMilli: z.number(), memoryMiB: z.number() })
  .meta({ id: 'WorkspaceUse', description: 'Compute and memory slices, CPU and main memory that allocations hold now.' });
export type WorkspaceUse = z.infer<typeof WorkspaceUse>;

export const Workspace = z
  .object({
    name: z.string(),
    parent: z.string().optional(),
    limit: QuotaAmounts,
    guaranteed: QuotaAmounts.optional(),
    weight: z.number(),
    budget: Budget.optional(),
    used: WorkspaceUse.describe('By its own work.'),
    usedWithChildren: WorkspaceUse.describe('By its own work, and by that of all workspaces under it.'),
    queued: z.int(),
    running: z.int(),
  })
  .meta({ id: 'Workspace' });
export type Workspace = z.infer<typeof Workspace>;

const namedWork = { id: z.string(), name: z.string(), workspace: z.string() };
const NamedWork = z.object(namedWork);
const obstacle = z
  .enum(['limit', 'guarantee', 'budget', 'room', 'kept', 'evicting'])
  .describe('kept: there is room, and it is kept for others. evicting: room is being made for it.');
const told = <T extends z.ZodType>(item: T) => z.object({ count: z.int(), items: z.array(item).describe('At most fifty.') });

export const WorkspacePreview = z
  .object({
    sentence: z.string(),
    stopped: told(
      z.object({
        ...namedWork,
        cause: z.enum(['reclaimed', 'preempted', 'moved']),
        beneficiary: NamedWork,
        afterStops: z.boolean().describe('Not at once, but when what is stopped before has ended.'),
        startsAgain: z.boolean().describe('Elsewhere or later, as far as was looked ahead.'),
      }),
    ),
    spared: told(NamedWork).describe('Would have been stopped without the change.'),
    started: told(
      z.object({
        ...namedWork,
        borrowed: z.boolean(),
        afterStops: z.boolean().describe('Not at once, but when what is stopped has ended.'),
      }),
    ),
    heldBack: told(z.object({ ...namedWork, obstacle })).describe('Would have started without the change.'),
    borrowed: told(NamedWork).describe('Runs on, beyond the guarantee of its workspace.'),
    owned: told(NamedWork).describe('Runs on, and is no longer borrowed.'),
    waitsOtherwise: told(z.object({ ...namedWork, before: obstacle, after: obstacle })).describe('Waits either way.'),
    overCommitted: told(
      z.object({
        kind: z
          .enum(['use', 'guarantees'])
          .describe('use: more is held than the limit. guarantees: more is guaranteed than the cluster has.'),
        workspace: z.string().optional().describe('Absent: the organisation.'),
        dimension: z.object({ resource: z.enum(['compute', 'memory', 'cpuMilli', 'memoryMiB']), model: z.string().optional() }),
        amount: z.number(),
        bound: z.number(),
      }),
    ).describe('Only what the change brings about, or makes worse.'),
    goesOn: z.boolean().describe('More would be started or stopped after all that was looked at.'),
  })
  .meta({
    id: 'WorkspacePreview',
    description: 'What the next decisions would do otherwise than without the change; what would be so either way is left out.',
  });
export type WorkspacePreview = z.infer<typeof WorkspacePreview>;

export const WorkspaceSet = Workspace.extend({
  preview: WorkspacePreview.optional().describe('Only with dryRun: nothing was changed, and the rest is as it would be.'),
}).meta({ id: 'WorkspaceSet' });
export type WorkspaceSet = z.infer<typeof WorkspaceSet>;
