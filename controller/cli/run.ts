// One run of the program: parse, do, report. Returns the exit code; everything it needs of the process is passed in.
import type { Clock } from '@astrago/shared/runtime/clock';
import { type Command, CommanderError } from 'commander';
import type { CommandContext } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { usageFailure } from './failure.ts';
import { createProgram, type GlobalOptions } from './program.ts';
import type { Terminal } from './terminal.ts';

export interface World {
  readonly terminal: Terminal;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  interrupt(): AbortSignal;
}

export async function run(argv: readonly string[], world: World): Promise<number> {
  let exitCode: number = exitCodes.ok;
  const program: Command = createProgram(async (work) => {
    exitCode = (await work(contextOf(program.opts<GlobalOptions>(), world))) ?? exitCodes.ok;
  });
  eachCommand(program, (command) => {
    command.exitOverride();
    // Help that was asked for is an answer; an error is reported below, in the form that was asked for.
    command.configureOutput({ writeOut: (text) => world.terminal.print(text.trimEnd()), writeErr: () => undefined });
  });
  try {
    if (argv.length === 0) throw usageFailure('There is no command.', 'See astrago help; start with astrago up.');
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return exitCodes.ok;
    return await reportFailure(thrown instanceof CommanderError ? fromCommander(thrown, argv) : thrown, argv, world);
  }
}

function contextOf(options: GlobalOptions, world: World): CommandContext {
  const choice = {
    ...(options.url === undefined ? {} : { url: options.url }),
    ...(options.token === undefined ? {} : { token: options.token }),
    ...(options.data === undefined ? {} : { data: options.data }),
  };
  return {
    ...world,
    json: options.json === true,
    choice,
    interrupt: () => world.interrupt(),
    connect: async (client = {}) => (await import('./connect.ts')).connect(choice, world, client),
  };
}

function fromCommander(error: CommanderError, argv: readonly string[]): Error {
  const verb = argv.find((word) => !word.startsWith('-'));
  const what = error.message
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/g, ' ')
    .trim();
  // A word that is no command, or no word at all, has no help page of its own.
  const page =
    error.code === 'commander.unknownCommand' || error.code === 'commander.help' || verb === undefined
      ? 'astrago help'
      : `astrago ${verb} --help`;
  const text = error.code === 'commander.help' ? 'There is a command missing' : `${what.charAt(0).toUpperCase()}${what.slice(1)}`;
  return usageFailure(/[.?!)]$/.test(text) ? text : `${text}.`, `See ${page}.`);
}

async function reportFailure(thrown: unknown, argv: readonly string[], world: World): Promise<number> {
  const { reportOf } = await import('./report.ts');
  const report = reportOf(thrown);
  const end = argv.indexOf('--');
  const json = (end === -1 ? argv : argv.slice(0, end)).includes('--json');
  world.terminal.remark(json ? JSON.stringify(report.problem, undefined, 2) : `astrago: ${report.text}`);
  if (world.environment['ASTRAGO_DEBUG'] && thrown instanceof Error) world.terminal.remark(thrown.stack ?? thrown.message);
  return report.exitCode;
}

function eachCommand(command: Command, visit: (command: Command) => void): void {
  visit(command);
  for (const child of command.commands) eachCommand(child, visit);
}
