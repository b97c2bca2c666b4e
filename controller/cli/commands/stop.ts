import { answer, type CommandContext } from '../context.ts';
import type { NamedInput } from './describe.ts';
import { gangLine, isGang, workloadOrGang } from './gang.ts';

export async function stop(context: CommandContext, input: NamedInput): Promise<void> {
  const client = await context.connect();
  const query = { workspace: input.workspace };
  const stopped = await workloadOrGang(
    () => client.stopWorkload({ params: { workload: input.name }, query }),
    () => client.stopGang({ params: { gang: input.name }, query }),
  );
  answer(context, stopped, () => (isGang(stopped) ? gangLine(stopped) : `${stopped.name} is ${stopped.phase}`));
}
