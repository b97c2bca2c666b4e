import type { Command } from 'commander';
import type { Action } from './action.ts';
import { parseDuration } from './parse/duration.ts';
import { parseMoment } from './parse/moment.ts';
import { understood, wholeNumber } from './parse/options.ts';

const seconds = understood((text) => parseDuration(text) || undefined, 'Give a time with its units, for example 2h30m or 3d.');
const moment = understood(parseMoment, 'Give a day and a time, for example 2026-12-01T14:00, or 2026-12-01T14:00Z in UTC.');
const names = understood(parseNames, 'Give names of nodes with commas between them, for example n1,n2.');

export function addReserveCommands(program: Command, action: Action): void {
  program
    .command('reserve')
    .argument('<name>')
    .usage('NAME [options]')
    .description('keep nodes for a workspace for a time, or say anew which and when')
    .requiredOption('--workspace <name>', 'whose work alone goes there; work that may be stopped, or ends before, may use them meanwhile')
    .option('--nodes <names>', 'these nodes: n1,n2', names)
    .option('--count <n>', 'so many nodes, those with the least work in the way', wholeNumber(1, 10_000))
    .option('--model <words>', 'with --count: nodes with a GPU of this model, for example h100')
    .option('--from <moment>', 'when it begins: 2026-12-01T14:00 (default: now)', moment)
    .option('--in <time>', 'the same as a time from now: 2h', seconds)
    .requiredOption('--for <time>', 'how long: 4h, 3d', seconds)
    .action((name: string, options) =>
      action(async (context) => (await import('./commands/reservations.ts')).reserve(context, { ...options, name })),
    );
  program
    .command('reservations')
    .description('nodes that are kept for workspaces, and when')
    .action(() => action(async (context) => (await import('./commands/reservations.ts')).reservations(context)));
  program
    .command('unreserve')
    .argument('<name>')
    .description('cancel a reservation; what runs on its nodes goes on')
    .action((name: string) => action(async (context) => (await import('./commands/reservations.ts')).unreserve(context, name)));
}

function parseNames(text: string): readonly string[] | undefined {
  const parts = text.split(',').map((part) => part.trim());
  return parts.includes('') ? undefined : parts;
}
