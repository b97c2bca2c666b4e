// Nodes that a workspace has for itself for a time.
import { z } from 'zod';
import { name } from './name.ts';

const moment = z.int().min(0);

export const PutReservation = z
  .strictObject({
    workspace: name.describe(
      'Whose work alone goes there. Work of others that may be interrupted, or ends before, may use them meanwhile.',
    ),
    nodes: z.array(z.string().min(1).max(253)).min(1).max(10_000).optional(),
    count: z.int().min(1).max(10_000).optional().describe('So many nodes, chosen when the reservation is made; instead of nodes.'),
    model: z.string().min(1).max(64).optional().describe('With count: nodes with a GPU of this model, by words of it: h100.'),
    fromMs: moment.describe('May have passed; a year from now at most.'),
    untilMs: moment.describe('After fromMs; not over yet; a year after fromMs at most.'),
  })
  .superRefine(({ nodes, count, model, fromMs, untilMs }, context) => {
    const refuse = (path: readonly (string | number)[], message: string): void =>
      context.addIssue({ code: 'custom', path: [...path], message });
    if ((nodes === undefined) === (count === undefined)) refuse(['nodes'], 'give nodes by name, or how many as count');
    if (model !== undefined && count === undefined) refuse(['model'], 'a model goes with count; nodes named are taken as they are');
    for (const [index, node] of (nodes ?? []).entries())
      if (nodes?.indexOf(node) !== index) refuse(['nodes', index], `${node} is named twice`);
    if (untilMs <= fromMs) refuse(['untilMs'], 'a reservation ends after it begins');
  })
  .meta({ id: 'PutReservation' });
export type PutReservation = z.infer<typeof PutReservation>;

export const NodeReservation = z
  .object({ name: z.string(), workspace: z.string(), fromMs: z.number(), untilMs: z.number() })
  .meta({ id: 'NodeReservation' });

export const Reservation = NodeReservation.extend({
  nodes: z.array(z.string()),
  inTheWay: z
    .array(
      z.object({
        workload: z.string(),
        workspace: z.string(),
        node: z.string(),
        expectedEndMs: z.number().optional().describe('Absent: it did not say how long it runs.'),
      }),
    )
    .describe('Work of others on its nodes that may not be interrupted, and is not known to end before it begins, or by now.'),
}).meta({ id: 'Reservation' });
export type Reservation = z.infer<typeof Reservation>;
