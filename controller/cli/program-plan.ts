import { type Command, Option } from 'commander';
import type { Action } from './action.ts';

export function addPlanCommands(program: Command, action: Action): void {
  program
    .command('plan')
    .description('what cutting GPUs anew, or moving work that may be restarted, would let begin')
    .option('--apply <id>', 'carry this proposal out')
    .action((options) => action(async (context) => (await import('./commands/plan.ts')).plan(context, options)));
  program
    .command('pool')
    .argument('[model]', 'words of the model, for example h100; without: all pools')
    .description('the GPUs of one model, and what is made of plans for them')
    .addOption(new Option('--repartition <mode>', 'plan nothing, show proposals, or carry them out').choices(['off', 'propose', 'act']))
    .action((model: string | undefined, options) =>
      action(async (context) => (await import('./commands/pool.ts')).pool(context, { ...options, model })),
    );
}
