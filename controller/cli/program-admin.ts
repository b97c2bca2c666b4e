import type { Command } from 'commander';
import type { Action } from './action.ts';
import { gathered, positiveNumber, understood, wholeNumber } from './parse/options.ts';
import { parseAmounts, parseBudget, parseModelAmounts } from './parse/quota.ts';

const amountsForm = 'compute slices, or compute=14,memory=16,cpus=64,ram=512Gi; none takes one away';
const amountsHint = 'Give compute slices, or any of compute=14,memory=16,cpus=64,ram=512Gi.';
const modelForm = 'h100=14 compute slices, h100=14/16 with memory slices';
const modelHint = 'Give MODEL=SLICES, MODEL=COMPUTE/MEMORY or MODEL=none, for example h100=14.';

export function addAdminCommands(program: Command, action: Action): void {
  program
    .command('cordon')
    .argument('<node>')
    .description('let a node take nothing new; what runs there goes on')
    .action((node: string) => action(async (context) => (await import('./commands/cordon.ts')).cordon(context, node)));
  program
    .command('uncordon')
    .argument('<node>')
    .description('let a cordoned node take work again')
    .action((node: string) => action(async (context) => (await import('./commands/cordon.ts')).uncordon(context, node)));
  const node = program.command('node').description('what people say of a node: labels and taints').helpCommand(false);
  for (const [verb, shape, description] of [
    ['label', 'KEY=VALUE|KEY- ...', 'set labels that work can ask for with submit --on, and remove them with KEY-'],
    ['taint', 'KEY[=VALUE]|KEY- ...', 'add taints, so that only work that tolerates them is placed there, and remove them with KEY-'],
  ] as const) {
    node
      .command(verb)
      .argument('<node>')
      .argument('<change...>')
      .usage(`NODE ${shape}`)
      .description(description)
      .action((name: string, changes: readonly string[]) =>
        action(async (context) => {
          const { nodeLabel, nodeTaint } = await import('./commands/node.ts');
          return (verb === 'label' ? nodeLabel : nodeTaint)(context, { node: name, changes });
        }),
      );
  }
  program
    .command('workspaces')
    .description('workspaces with what they use and may use')
    .action(() => action(async (context) => (await import('./commands/workspaces.ts')).workspaces(context)));
  program
    .command('workspace')
    .description('make a workspace, or change what it may use and what is its own')
    .helpCommand(false)
    .command('set')
    .argument('<name>')
    .usage('NAME [options]')
    .description('make a workspace, or change what is named; the rest stays as it is')
    .option('--parent <name>', 'put it under this workspace, whose amounts it shares')
    .option('--no-parent', 'put it directly under the organisation')
    .option('--limit <amounts>', `never more than this: ${amountsForm}`, understood(parseAmounts, amountsHint))
    .option('--model-limit <model=n>', `of one model: ${modelForm}; may be repeated`, gathered(parseModelAmounts, modelHint))
    .option('--compute-slices <n>', 'the same as --limit compute=N', wholeNumber(0, 1_000_000))
    .option('--memory-slices <n>', 'the same as --limit memory=N', wholeNumber(0, 1_000_000))
    .option('--unlimited', 'no limit')
    .option('--guarantee <amounts>', 'its own whenever it asks, written like a limit', understood(parseAmounts, amountsHint))
    .option('--model-guarantee <model=n>', 'the same of one model; may be repeated', gathered(parseModelAmounts, modelHint))
    .option('--no-guarantee', 'nothing is its own')
    .option('--weight <w>', 'its part of what is left over, against its siblings (1 where never said)', positiveNumber)
    .option(
      '--budget <hours/period>',
      'slice hours a day, week or month: 500/week; 500/week:soft only comes last beyond it',
      understood(parseBudget, 'Give HOURS/day, HOURS/week or HOURS/month, for example 500/week or 500/week:soft.'),
    )
    .option('--no-budget', 'no budget')
    .option('--dry-run', 'only show what that would do to what runs and waits')
    .action((name: string, options) =>
      action(async (context) => (await import('./commands/workspaces.ts')).workspaceSet(context, { ...options, name })),
    );
  program
    .command('audit')
    .description('check every invariant of the cluster now; exit code 1 when something is found')
    .action(() => action(async (context) => (await import('./commands/audit.ts')).audit(context)));
}
