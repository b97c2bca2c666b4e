import { answer, type CommandContext } from '../context.ts';

export async function cordon(context: CommandContext, node: string): Promise<void> {
  const client = await context.connect();
  const now = await client.cordonNode({ params: { node } });
  answer(context, now, () => `${now.name} is cordoned: it takes nothing new, and what runs there goes on`);
}

export async function uncordon(context: CommandContext, node: string): Promise<void> {
  const client = await context.connect();
  const now = await client.uncordonNode({ params: { node } });
  answer(context, now, () => `${now.name} takes work again`);
}
