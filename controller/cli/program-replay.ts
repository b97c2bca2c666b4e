import type { Command } from 'commander';
import type { Action } from './action.ts';
import { positiveNumber, wholeNumber } from './parse/options.ts';

export function addReplayCommand(program: Command, action: Action): void {
  program
    .command('replay')
    .argument('<file>', 'pod list in the openb CSV format')
    .description('submit a recorded trace, follow it to its end and report what became of it')
    .option('--limit <n>', 'the first n rows only', wholeNumber(1, 10_000_000))
    .option('--speed <factor>', 'how much faster than recorded, for run times and arrivals', positiveNumber, 100_000)
    .option('--min-ms <ms>', 'no workload runs shorter than this', wholeNumber(0, 3_600_000), 50)
    .option('--max-ms <ms>', 'no workload runs longer than this', wholeNumber(1, 86_400_000), 2000)
    .option('--burst', 'submit as fast as the API takes it, instead of at the recorded times')
    .option('--concurrency <n>', 'requests at a time', wholeNumber(1, 256), 16)
    .option('--workspace <name>', 'submit into this workspace', 'default')
    .option('--prefix <word>', 'put before every name, so that a trace can be replayed twice')
    .option(
      '--profiles <list>',
      'PROFILE=COMPUTE pairs to map shares to, for example 1g.10gb=1,3g.40gb=3 (default: by the models in the cluster)',
    )
    .option('--respect-model', 'ask for the recorded GPU model where the trace names one')
    .option('--timeout <seconds>', 'stop following after this', wholeNumber(1, 86_400), 600)
    .option('--settle <seconds>', 'the rest is taken to wait when nothing has changed for this long', wholeNumber(1, 3600), 15)
    .option('--out <file>', 'also write the report as JSON, with one record a workload')
    .action((file: string, options) =>
      action(async (context) => (await import('./commands/replay.ts')).replay(context, { ...options, file })),
    );
}
