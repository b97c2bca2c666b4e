import { writeFile } from 'node:fs/promises';
import type { Gpu } from '@astrago/api';
import type { Layout } from '@astrago/shared/domain/mig/layout';
import { type ExportedGpu, exportParted, type PartedDocument, type PartedFormat } from '@astrago/shared/domain/mig/parted/export';
import { parseProfileName } from '@astrago/shared/domain/mig/profile';
import type { WantedSlice } from '@astrago/shared/domain/mig/slice';
import { Document, isScalar, visit } from 'yaml';
import type { CommandContext } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { CommandFailure } from '../failure.ts';

export interface PartitionExportInput {
  readonly node?: string;
  readonly format: PartedFormat;
  /** `-` is standard output. */
  readonly output: string;
}

export async function partitionExport(context: CommandContext, input: PartitionExportInput): Promise<void> {
  const client = await context.connect();
  const { items } = await client.listGpus(input.node === undefined ? {} : { query: { node: input.node } });
  if (items.length === 0)
    throw new CommandFailure({
      code: 'not-found',
      exitCode: exitCodes.notFound,
      what: input.node === undefined ? 'No GPU is known yet.' : `No GPU is known of a node ${input.node}.`,
      remedy: 'See astrago nodes.',
    });
  const document = exportParted(byConfig(items), input.format);
  const text = context.json ? JSON.stringify(document, undefined, 2) : yamlOf(document);
  if (input.output === '-') return context.terminal.print(text.trimEnd());
  await writeFile(input.output, `${text.trimEnd()}\n`);
  context.terminal.remark(`Wrote ${input.output}: ${Object.keys(document['mig-configs']).join(', ')}.`);
}

/** One node is `current`; of several each has a configuration by its own name, as mig-parted knows indices and no nodes. */
function byConfig(gpus: readonly Gpu[]): ReadonlyMap<string, readonly ExportedGpu[]> {
  const byNode = Map.groupBy(gpus, (gpu) => gpu.node);
  return new Map(
    [...byNode].map(([node, own]) => [
      byNode.size === 1 ? 'current' : node,
      own.map((gpu): ExportedGpu => ({ index: gpu.index, layout: layoutOf(gpu) })),
    ]),
  );
}

/** What is ordered; where nothing is, what is there. */
function layoutOf(gpu: Gpu): Layout {
  if (gpu.layout?.kind === 'whole' || (gpu.layout === undefined && !gpu.migEnabled)) return { kind: 'whole' };
  const slices = gpu.layout?.slices ?? gpu.slices.filter((slice) => slice.state !== 'wanted');
  return {
    kind: 'mig',
    slices: slices.map(({ profile, start }): WantedSlice => {
      const name = parseProfileName(profile);
      if (name === undefined) throw new Error(`the controller names a profile ${profile}, which is none`);
      return { profile: name, start };
    }),
  };
}

/** Lists of indices, and each placement, on one line, as people write these files. */
function yamlOf(document: PartedDocument): string {
  const text = new Document(document, { aliasDuplicateObjects: false });
  visit(text, {
    Seq: (_key, list) => {
      if (list.items.every(isScalar)) list.flow = true;
    },
    Map: (_key, map) => {
      if (map.has('profile') || map.items.length === 0) map.flow = true;
    },
  });
  return text.toString({ flowCollectionPadding: false, lineWidth: 120 });
}
