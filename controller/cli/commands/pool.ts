import type { Pool } from '@astrago/api';
import { answer, type CommandContext } from '../context.ts';
import { usageFailure } from '../failure.ts';
import { table } from '../show/table.ts';

export interface PoolInput {
  readonly model: string | undefined;
  readonly repartition?: Pool['repartition'];
}

export async function pool(context: CommandContext, { model, repartition }: PoolInput): Promise<void> {
  if ((model === undefined) !== (repartition === undefined))
    throw usageFailure(
      'A model and --repartition go together.',
      'Give both to set a pool, or neither to see all: astrago pool h100 --repartition act',
    );
  const client = await context.connect();
  if (model === undefined || repartition === undefined) {
    const list = await client.listPools();
    answer(context, list, () => (list.items.length === 0 ? 'No GPU has reported yet.' : poolTable(list.items)));
    return;
  }
  const set = await client.putPool({ params: { model }, body: { repartition } });
  answer(context, set, () => poolTable([set]));
}

function poolTable(items: readonly Pool[]): string {
  return table(
    ['MODEL', 'GPUS', 'REPARTITION'],
    items.map(({ model, gpus, repartition }) => [model, gpus, repartition]),
  );
}
