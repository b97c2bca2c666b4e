// Pools and plans for them.
import { z } from 'zod';
import { Layout } from './schemas.ts';
import { Slice } from './slices.ts';

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
