// The command tree: names, arguments, options and help. What a command does is in its own file, loaded when it is called.
import { Command } from 'commander';
import type { Action } from './action.ts';
import type { CommandContext } from './context.ts';
import { exitCodesText } from './exit-codes.ts';
import { usageFailure } from './failure.ts';
import { wholeNumber } from './parse/options.ts';
import { addAdminCommands } from './program-admin.ts';
import { addClusterCommands } from './program-cluster.ts';
import { addPartitionCommands } from './program-partition.ts';
import { addPlanCommands } from './program-plan.ts';
import { addReplayCommand } from './program-replay.ts';
import { addReserveCommands } from './program-reserve.ts';
import { addSnapshotCommands } from './program-snapshot.ts';
import { addWorkloadCommands } from './program-work.ts';

export interface GlobalOptions {
  readonly url?: string;
  readonly token?: string;
  readonly data?: string;
  readonly json?: boolean;
}

export function createProgram(action: Action): Command {
  const program = new Command('astrago')
    .description('Cuts NVIDIA GPUs into slices across a cluster and keeps them busy with the right workloads.')
    .usage('[options] COMMAND')
    .option('--url <url>', 'controller to talk to (ASTRAGO_URL)')
    .option('--token <token>', 'token to log in with; better kept in ASTRAGO_TOKEN, where other users cannot see it')
    .option('--data <directory>', 'data directory of a cluster started with up (ASTRAGO_DATA; default ~/.local/state/astrago)')
    .option('--json', 'one JSON document on standard output; errors as a JSON problem on standard error')
    .helpOption('-h, --help', 'show help')
    .helpCommand(false)
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      'after',
      '\nThe agent of this machine: astrago agent --help\nMeasuring: astrago bench\nExit codes: astrago help exit-codes',
    );

  addClusterCommands(program, action);
  addLookCommands(program, action);
  addWorkloadCommands(program, action);
  addPartitionCommands(program, action);
  addPlanCommands(program, action);
  addAdminCommands(program, action);
  addReserveCommands(program, action);
  addReplayCommand(program, action);
  addSnapshotCommands(program, action);
  program
    .command('version')
    .description('version of this program')
    .action(() => action(async (context) => (await import('./commands/version.ts')).version(context)));
  program
    .command('help')
    .argument('[topic...]', 'a command, or exit-codes')
    .description('help about a command, or the exit codes')
    .action((topic: readonly string[]) => action((context) => help(program, topic, context)));
  return program;
}

function addLookCommands(program: Command, action: Action): void {
  program
    .command('nodes')
    .description('nodes with their state and what is allocated')
    .action(() => action(async (context) => (await import('./commands/nodes.ts')).nodes(context)));
  program
    .command('gpus')
    .description('GPUs with a map of their slots: profile and workload, - free, . not cut, + being made, ~ being removed')
    .option('--node <name>', 'of this node only')
    .action((options) => action(async (context) => (await import('./commands/gpus.ts')).gpus(context, options)));
  program
    .command('ps')
    .description('live workloads, newest first')
    .option('--all', 'those that ended too')
    .option('--workspace <name>', 'of this workspace only')
    .option('--limit <n>', 'no more than this many', wholeNumber(1, 1_000_000), 1000)
    .action((options) => action(async (context) => (await import('./commands/ps.ts')).ps(context, options)));
}

function help(program: Command, topic: readonly string[], context: CommandContext): Promise<void> {
  if (topic[0] === 'exit-codes') {
    context.terminal.print(exitCodesText.trimEnd());
    return Promise.resolve();
  }
  let found = program;
  for (const word of topic) {
    const next = found.commands.find((command) => command.name() === word);
    if (next === undefined) throw usageFailure(`There is no help about ${JSON.stringify(topic.join(' '))}.`, 'See astrago help.');
    found = next;
  }
  context.terminal.print(found.helpInformation().trimEnd());
  return Promise.resolve();
}
