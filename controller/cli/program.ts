// The command tree: names, arguments, options and help. What a command does is in its own file, loaded when it is called.
import { Command } from 'commander';
import type { Action } from './action.ts';
import type { CommandContext } from './context.ts';
import { exitCodesText } from './exit-codes.ts';
import { usageFailure } from './failure.ts';
import { cpuMilli, environmentVariable, memoryMiB, wholeNumber } from './parse/options.ts';
import { addClusterCommands } from './program-cluster.ts';
import { addPartitionCommands } from './program-partition.ts';
import { addReplayCommand } from './program-replay.ts';
import { addSnapshotCommands } from './program-snapshot.ts';

export interface GlobalOptions {
  readonly url?: string;
  readonly token?: string;
  readonly data?: string;
  readonly json?: boolean;
}

const inWorkspace = ['--workspace <name>', 'when several workspaces have a workload of this name'] as const;

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
  addAdminCommands(program, action);
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

function addWorkloadCommands(program: Command, action: Action): void {
  program
    .command('submit')
    .argument('<name>', 'lower-case letters, digits and dashes')
    .argument('[command...]', 'program and arguments, after --; no shell in between')
    .usage('NAME [options] -- CMD...')
    .description('submit a workload')
    .option('--slice <profile>', 'one MIG slice of this profile, for example 3g.40gb')
    .option('--gpus <n>', 'whole GPUs on one node', wholeNumber(0, 1024))
    .option('--model <words>', 'only GPUs whose model contains these words, for example h100')
    .option('--cpus <cpus>', 'CPUs, for example 4 or 500m', cpuMilli)
    .option('--memory <size>', 'main memory, for example 16Gi', memoryMiB)
    .option('--workspace <name>', 'whose limit it counts against (default "default")')
    .option('--priority <n>', 'larger goes first', wholeNumber(-1000, 1000))
    .option('--env <name=value>', 'environment of the command; may be repeated', environmentVariable)
    .option('--wait', 'until it has ended; the exit code is its own. Ctrl-C ends the waiting, not the workload')
    .option('--timeout <seconds>', 'with --wait: no longer than this', wholeNumber(1, 31_536_000))
    .action((name: string, command: readonly string[], options) =>
      action(async (context) => (await import('./commands/submit.ts')).submit(context, { ...options, name, command })),
    );
  program
    .command('why')
    .argument('<name>', 'name or id')
    .description('why a workload waits, counted, and what would make it fit')
    .option('--trace', 'the nodes that could take it, with scores, and why the others do not')
    .option(...inWorkspace)
    .action((name: string, options) => action(async (context) => (await import('./commands/why.ts')).why(context, { ...options, name })));
  for (const [verb, description] of [
    ['describe', 'everything about one workload'],
    ['stop', 'stop a workload, or cancel one that waits'],
  ] as const) {
    program
      .command(verb)
      .argument('<name>', 'name or id')
      .description(description)
      .option(...inWorkspace)
      .action((name: string, options) =>
        action(async (context) => {
          const input = { ...options, name };
          if (verb === 'describe') return (await import('./commands/describe.ts')).describe(context, input);
          return (await import('./commands/stop.ts')).stop(context, input);
        }),
      );
  }
  program
    .command('logs')
    .argument('<name>', 'name or id')
    .description('output of a workload')
    .option('-f, --follow', 'until the workload has ended')
    .option(...inWorkspace)
    .action((name: string, options) => action(async (context) => (await import('./commands/logs.ts')).logs(context, { ...options, name })));
}

function addAdminCommands(program: Command, action: Action): void {
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
  program
    .command('workspaces')
    .description('workspaces with what they use and may use')
    .action(() => action(async (context) => (await import('./commands/workspaces.ts')).workspaces(context)));
  program
    .command('workspace')
    .description('make a workspace or set its limit')
    .helpCommand(false)
    .command('set')
    .argument('<name>')
    .usage('NAME [--compute-slices N] [--memory-slices N] [--unlimited]')
    .description('make a workspace or set its limit')
    .option('--compute-slices <n>', 'at most this many compute slices', wholeNumber(0, 1_000_000))
    .option('--memory-slices <n>', 'at most this many memory slices', wholeNumber(0, 1_000_000))
    .option('--unlimited', 'no limit')
    .action((name: string, options) =>
      action(async (context) => (await import('./commands/workspaces.ts')).workspaceSet(context, { ...options, name })),
    );
  program
    .command('audit')
    .description('check every invariant of the cluster now; exit code 1 when something is found')
    .action(() => action(async (context) => (await import('./commands/audit.ts')).audit(context)));
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
