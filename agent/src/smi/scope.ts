import type { GpuUuid } from '@astrago/shared/domain/ids';

/** Which GPUs a question is about: all, or one by a name that nvidia-smi takes. */
export interface Scope {
  readonly gpu: GpuUuid | 'all';
  /** `-i NAME`, or nothing. */
  readonly select: readonly string[];
}

export const allGpus: Scope = { gpu: 'all', select: [] };

export function oneGpu(gpu: GpuUuid, name: string = gpu): Scope {
  return { gpu, select: ['-i', name] };
}

/**
 * The rows of the GPU at `index`. Where one GPU was asked about and every row bears one number, they are its
 * rows whatever that number is, since a selected GPU need not keep its index.
 */
export function rowsOf<Row extends { readonly gpuIndex: number }>(scope: Scope, index: number, rows: readonly Row[]): readonly Row[] {
  const single = scope.gpu !== 'all' && rows.every((row) => row.gpuIndex === rows[0]?.gpuIndex);
  return single ? rows : rows.filter((row) => row.gpuIndex === index);
}
