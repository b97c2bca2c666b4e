import type { Command } from 'commander';
import type { Action } from './action.ts';

/** `snapshot FILE` saves what the next decision depends on, `decide FILE` makes that decision without a controller. */
export function addSnapshotCommands(program: Command, action: Action): void {
  program
    .command('snapshot')
    .argument('<file>', 'where to write; - is standard output')
    .description('save the cluster as the scheduler sees it, without commands and values of the environment')
    .action((file: string) => action(async (context) => (await import('./commands/snapshot.ts')).snapshot(context, file)));
  program
    .command('decide')
    .argument('<file>', 'written by snapshot')
    .description('make the next decision for a saved cluster again, without a controller')
    .action((file: string) => action(async (context) => (await import('./commands/decide.ts')).decide(context, file)));
}
