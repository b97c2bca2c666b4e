// `nvidia-smi --query-gpu=... --format=csv`, once.
import type { SampleRow } from './fields/sample-rows.ts';
import { RowRounds } from './loop/row-rounds.ts';
import { type Parsed, parsed, unreadable } from './parsed.ts';

/** One row a GPU; a GPU that only has a message is left out. A text without any row says nothing of any GPU. */
export function parseSamples(text: string, columns: readonly string[]): Parsed<readonly SampleRow[]> {
  const reader = new RowRounds(columns);
  const framed = [...reader.push(text), ...reader.end()];
  const rows = framed.flatMap((one) => (one.kind === 'round' ? one.round : []));
  const noise = framed.find((one) => one.kind === 'noise');
  if (rows.length === 0) return unreadable('no row of a GPU', noise?.kind === 'noise' ? noise.text : text);
  return parsed(rows);
}
