import { type Command, Option } from 'commander';
import type { Action } from './action.ts';
import { parseDuration } from './parse/duration.ts';
import { cpuMilli, environmentVariable, gathered, memoryMiB, understood, wholeNumber } from './parse/options.ts';
import { parseLeast, parsePart } from './parse/part-of-gpu.ts';
import { parseLabel, parseLevel } from './parse/where.ts';

const inWorkspace = ['--workspace <name>', 'when several workspaces have a workload of this name'] as const;
const levelHint = 'Give LEVEL or LEVEL:preferred, for example node or rack:preferred.';

export function addWorkloadCommands(program: Command, action: Action): void {
  program
    .command('submit')
    .argument('<name>', 'lower-case letters, digits and dashes')
    .argument('[command...]', 'program and arguments, after --; no shell in between')
    .usage('NAME [options] -- CMD...')
    .description('submit a workload')
    .option('--slice <profile>', 'a MIG slice of this profile, for example 3g.40gb')
    .option(
      '--at-least <size>',
      'a MIG slice of any profile with this much memory, and compute slices after a stroke, for example 20G or 20G/2',
      understood(parseLeast, 'Give a size with its unit, and compute slices if you like: 20G or 20G/2.'),
    )
    .option('--slices <n>', 'with --slice or --at-least: so many of them on one node', wholeNumber(1, 1024))
    .option(
      '--share <part>',
      'a part of one GPU, in thousandths or percent, for example 300 or 30%',
      understood(parsePart, 'Give 1 to 999 thousandths or a percentage below 100: 300 or 30%.'),
    )
    .addOption(
      new Option('--share-by <way>', 'mps: the driver keeps it to its part; time-slicing: nothing does (default mps)').choices([
        'mps',
        'time-slicing',
      ]),
    )
    .option('--share-memory <size>', 'memory of the GPU for the share (default: the same part as of the compute)', memoryMiB)
    .option('--gpus <n>', 'whole GPUs on one node', wholeNumber(0, 1024))
    .option('--model <words>', 'only GPUs whose model contains these words, for example h100')
    .option('--cpus <cpus>', 'CPUs, for example 4 or 500m', cpuMilli)
    .option('--memory <size>', 'main memory, for example 16Gi', memoryMiB)
    .option('--workspace <name>', 'whose limit it counts against (default "default")')
    .option('--priority <n>', 'larger goes first', wholeNumber(-1000, 1000))
    .option('--members <n>', 'a gang: so many workloads NAME-0, NAME-1 ... of this kind, which start together', wholeNumber(1, 1024))
    .option('--at-least-members <m>', 'with --members: start once so many can (default: all)', wholeNumber(1, 1024))
    .option(
      '--expect <time>',
      'how long it will run, for example 2h30m',
      understood(parseDuration, 'Give a time with its units: 2h30m, 90s.'),
    )
    .option('--restartable', 'may be stopped to make room; begins anew later')
    .option('--checkpoints', 'may be stopped to make room; saves its work on SIGTERM and goes on later')
    .option('--on <key=value>', 'only nodes with this label; may be repeated', gathered(parseLabel, 'Give KEY=VALUE, for example rack=r1.'))
    .option(
      '--tolerate <taint>',
      'go on nodes with this taint, too: KEY or KEY=VALUE; may be repeated',
      gathered((text) => text, 'Give KEY or KEY=VALUE.'),
    )
    .option(
      '--together <level>',
      'GPUs of it, or of its gang, close by nvlink, numa, node or a label such as rack; rack:preferred where it can be; may be repeated',
      gathered(parseLevel, levelHint),
    )
    .option('--apart <level>', 'members of a gang not on one node, or not with one label, such as rack', understood(parseLevel, levelHint))
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
    ['describe', 'everything about one workload, or the members of a gang'],
    ['stop', 'stop a workload or a gang, or cancel one that waits'],
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
