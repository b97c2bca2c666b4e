// Why work waits and what would help, and all that a decision depends on.
import { z } from 'zod';
import { phases } from './work.ts';

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
