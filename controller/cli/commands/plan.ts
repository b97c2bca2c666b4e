import type { Proposal } from '@astrago/api';
import { answer, type CommandContext } from '../context.ts';

export async function plan(context: CommandContext, input: { readonly apply?: string }): Promise<void> {
  const client = await context.connect();
  if (input.apply !== undefined) {
    const applied = await client.applyProposal({ params: { proposal: input.apply } });
    answer(context, applied, () => `${applied.id} is carried out: ${applied.text}`);
    return;
  }
  const list = await client.listProposals();
  answer(context, list, () =>
    list.items.length === 0
      ? 'There is no proposal: nothing waits that cutting anew or moving would let begin.'
      : list.items.map(proposalText).join('\n\n'),
  );
}

function proposalText({ id, model, text, waits }: Proposal): string {
  const next = waits === undefined ? `  do it   astrago plan --apply ${id}` : `  waits   ${waits.reason}, then it is done by itself`;
  return `${id}  ${model}\n  ${text}\n${next}`;
}
