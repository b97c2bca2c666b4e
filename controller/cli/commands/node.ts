import type { Node } from '@astrago/api';
import { answer, type CommandContext } from '../context.ts';
import { usageFailure } from '../failure.ts';
import { parseLabelChanges, parseTaintChanges } from '../parse/where.ts';
import { labelsText } from '../show/labels.ts';

export interface NodeChangeInput {
  readonly node: string;
  readonly changes: readonly string[];
}

export async function nodeLabel(context: CommandContext, input: NodeChangeInput): Promise<void> {
  const body = parseLabelChanges(input.changes);
  if (typeof body === 'string')
    throw usageFailure(`${JSON.stringify(body)} does not change a label.`, 'Write KEY=VALUE to set one, or KEY- to remove it.');
  const client = await context.connect();
  const node = await client.labelNode({ params: { node: input.node }, body: { set: body.set, remove: [...body.remove] } });
  tell(context, node, 'labels', labelsText(node.labels));
}

export async function nodeTaint(context: CommandContext, input: NodeChangeInput): Promise<void> {
  const body = parseTaintChanges(input.changes);
  if (typeof body === 'string')
    throw usageFailure(`${JSON.stringify(body)} does not change a taint.`, 'Write KEY or KEY=VALUE to add one, or KEY- to remove it.');
  const client = await context.connect();
  const node = await client.taintNode({ params: { node: input.node }, body: { add: [...body.add], remove: [...body.remove] } });
  tell(context, node, 'taints', node.taints.join(' '));
}

function tell(context: CommandContext, node: Node, what: string, text: string): void {
  answer(context, node, () => (text === '' ? `${node.name} has no ${what}` : `${node.name} has the ${what} ${text}`));
}
