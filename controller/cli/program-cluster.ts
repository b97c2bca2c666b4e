import type { Command } from 'commander';
import type { Action } from './action.ts';
import { wholeNumber } from './parse/options.ts';

export function addClusterCommands(program: Command, action: Action): void {
  program
    .command('up')
    .description(
      'start a cluster on this machine: a controller and one agent a node, kept running. Where nvidia-smi works this machine is the node; otherwise nodes are simulated',
    )
    .option('--port <port>', 'of the controller; 0 takes any free one (default 8420)', wholeNumber(0, 65_535))
    .option('--nodes <n>', 'simulated nodes (default 2)', wholeNumber(1, 1000))
    .option('--gpus <n>', 'GPUs of each simulated node (default 2)', wholeNumber(1, 16))
    .option('--model <name>', 'GPU model of the simulated nodes (default h100-80gb)')
    .option('--detach', 'return when the cluster is ready and keep it running')
    .action((options) => action(async (context) => (await import('./commands/up.ts')).up(context, options)));
  program
    .command('down')
    .description('stop the cluster of the data directory and everything it started, workloads included')
    .option('--timeout <seconds>', 'how long workloads may take to end before they are killed', wholeNumber(0, 3600), 20)
    .action((options) => action(async (context) => (await import('./commands/down.ts')).down(context, options)));
}
