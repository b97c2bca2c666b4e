// What people say of nodes and of where work should go.
import { z } from 'zod';
import { recordOf } from './record-of.ts';

const keyText = '[A-Za-z0-9]([A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?';
const valueText = '[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?';
const keyRule = 'a key is letters, digits and . _ - / inside, 128 at most';

/** What locality wishes call the levels that every machine has. */
const levels: readonly string[] = ['nvlink', 'numa', 'node'];

const labelKey = z
  .string()
  .regex(new RegExp(`^${keyText}$`), keyRule)
  .refine((key) => !levels.includes(key), 'nvlink, numa and node are levels of their own; take another key');
const labelValue = z.string().regex(new RegExp(`^${valueText}$`), 'a value is letters, digits and . _ - inside, 63 at most');

export const Labels = recordOf(labelKey, labelValue);

export const Taint = z
  .string()
  .regex(new RegExp(`^${keyText}(=${valueText})?$`), `write key or key=value: ${keyRule}`)
  .describe('key, or key=value.');

export const LocalityWish = z
  .strictObject({
    level: z
      .string()
      .regex(new RegExp(`^${keyText}$`), keyRule)
      .describe('nvlink, numa, node, or the key of a node label such as rack.'),
    required: z.boolean().default(true).describe('false: preferred.'),
  })
  .meta({ id: 'LocalityWish' });

export const Constraints = z
  .strictObject({
    nodeLabels: Labels.optional().describe('Labels that the node must carry, with these values.'),
    tolerations: z.array(Taint).max(64).optional().describe('Taints it does not mind: by key, whatever the value, or by key=value.'),
    together: z.array(LocalityWish).max(8).optional().describe('What its GPUs, or those of its whole gang, should be close by.'),
    apart: LocalityWish.optional().describe('What the members of its gang should not have in common: node, or the key of a node label.'),
  })
  .superRefine(({ together = [], apart }, context) => {
    for (const [index, { level, required }] of together.entries()) {
      const path = ['together', index, 'level'];
      if (together.findIndex((other) => other.level === level) < index)
        context.addIssue({ code: 'custom', path, message: `${level} is named twice` });
      if (apart?.level === level && apart.required && required)
        context.addIssue({ code: 'custom', path, message: `nothing is both together and apart by ${level}` });
    }
    if (apart !== undefined && (apart.level === 'nvlink' || apart.level === 'numa'))
      context.addIssue({
        code: 'custom',
        path: ['apart', 'level'],
        message: 'members are kept apart by node, or by the key of a node label',
      });
  })
  .meta({ id: 'Constraints' });

const keys = z.array(z.string().max(255)).max(64).default([]);

export const ChangeLabels = z
  .strictObject({ set: Labels.default({}), remove: keys.describe('Keys; one that is not there is no fault.') })
  .superRefine(({ set, remove }, context) => {
    for (const [index, key] of remove.entries())
      if (Object.hasOwn(set, key))
        context.addIssue({ code: 'custom', path: ['remove', index], message: `${key} is set and removed at once` });
  })
  .meta({ id: 'ChangeLabels' });

export const ChangeTaints = z
  .strictObject({
    add: z.array(Taint).max(64).default([]).describe('Takes the place of another taint of the same key.'),
    remove: keys.describe('Keys; one that is not there is no fault.'),
  })
  .superRefine(({ add, remove }, context) => {
    for (const [index, key] of remove.entries())
      if (add.some((taint) => taint.split('=', 1)[0] === key))
        context.addIssue({ code: 'custom', path: ['remove', index], message: `${key} is added and removed at once` });
  })
  .meta({ id: 'ChangeTaints' });
