import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { ComputeMode } from '#core/sharing/next-sharing-step';
import type { Asking } from './asking.ts';
import { parseQueryRows } from './parse-query-rows.ts';
import { type Parsed, parsed, unreadable } from './parsed.ts';
import { printedWord } from './printed-value.ts';

/** As `--query-gpu=compute_mode` prints them. */
const printed: Readonly<Record<string, ComputeMode>> = {
  default: 'default',
  exclusive_process: 'exclusive-process',
  prohibited: 'prohibited',
};

/** As `-c` takes them. */
const asked: Readonly<Record<ComputeMode, string>> = {
  default: 'DEFAULT',
  'exclusive-process': 'EXCLUSIVE_PROCESS',
  prohibited: 'PROHIBITED',
};

/** Absent value: the driver does not say. A word that is not known cannot be read: it might forbid anything. */
export function parseComputeMode(text: string): Parsed<ComputeMode | undefined> {
  const rows = parseQueryRows(text, ['compute_mode'] as const);
  if (rows.kind === 'unreadable') return rows;
  const word = printedWord(rows.value[0]?.compute_mode ?? '');
  if (word === undefined) return parsed(undefined);
  const mode = printed[word.toLowerCase().replaceAll(' ', '_')];
  return mode === undefined ? unreadable('not a compute mode', word) : parsed(mode);
}

export function readComputeMode(asking: Asking, gpu: GpuUuid, signal: AbortSignal): Promise<ComputeMode | undefined> {
  return asking.ask({ args: ['-i', gpu, '--query-gpu=compute_mode', '--format=csv,noheader'], gpu, read: parseComputeMode }, signal);
}

export async function changeComputeMode(asking: Asking, gpu: GpuUuid, mode: ComputeMode, signal: AbortSignal): Promise<void> {
  await asking.change({ args: ['-i', gpu, '-c', asked[mode]], gpu, kind: 'mutate', alone: false }, signal);
}
