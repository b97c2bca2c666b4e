import { type Command, Option } from 'commander';
import type { Action } from './action.ts';
import type { PartitionExportInput } from './commands/partition-export.ts';
import type { PartitionImportInput } from './commands/partition-import.ts';

/** `partition NODE/GPU` for one GPU, `partition export` and `partition import` for whole nodes. */
export function addPartitionCommands(program: Command, action: Action): void {
  const partition = program
    .command('partition')
    .argument('<gpu>', 'NODE/INDEX or NODE/UUID')
    .usage('NODE/GPU (--layout LAYOUT | --automatic) [--dry-run]\n       astrago partition export|import ...')
    .description('choose the layout of a GPU; slices in use stay where they are')
    .helpCommand(false)
    .option('--layout <layout>', 'whole, mig, or profiles: 3g.40gb,1g.10gb*4 or 3g.40gb@4; the layout is then pinned')
    .option('--automatic', 'give the GPU back to the scheduler')
    .option('--dry-run', 'only show what would be done')
    .action((gpu: string, options) =>
      action(async (context) => (await import('./commands/partition.ts')).partition(context, { ...options, gpu })),
    );
  partition
    .command('export')
    .usage('[--node NODE] [--format mig-parted|astrago] [--output FILE]')
    .description('write the layouts as a configuration file of mig-parted')
    .option('--node <name>', 'of this node only, as the configuration "current"')
    .addOption(
      new Option('--format <format>', 'mig-parted: counts only; astrago: with placements, which mig-parted refuses')
        .choices(['mig-parted', 'astrago'])
        .default('mig-parted'),
    )
    .option('-o, --output <file>', 'where to write; - is standard output', '-')
    .action((_own, command: Command) =>
      action(async (context) =>
        (await import('./commands/partition-export.ts')).partitionExport(context, command.optsWithGlobals<PartitionExportInput>()),
      ),
    );
  partition
    .command('import')
    .argument('<file>', 'configuration file of mig-parted, with or without placements')
    .usage('FILE --config NAME [--node NODE...] [--dry-run] [--yes]')
    .description('ask the layouts of a configuration; every GPU is planned first, and one refusal leaves all as they are')
    .requiredOption('--config <name>', 'which configuration of the file')
    .option('--node <name...>', 'on these nodes only')
    .option('--yes', 'order the layouts, which pins them; without it they are only shown')
    // Also an option of the command above, which takes it wherever it stands.
    .option('--dry-run', 'only show what would be done')
    .action((file: string, _own, command: Command) =>
      action(async (context) =>
        (await import('./commands/partition-import.ts')).partitionImport(context, {
          ...command.optsWithGlobals<Omit<PartitionImportInput, 'file'>>(),
          file,
        }),
      ),
    );
}
