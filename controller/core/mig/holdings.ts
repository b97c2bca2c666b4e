import type { WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { BucketedGpus } from './bucketed-gpus.ts';

/** A slice in use. */
export interface Occupant extends WantedSlice {
  /** Whether its workload may be ended here and started elsewhere. */
  readonly movable: boolean;
  /** How long it is expected to stay, in mean lifetimes; absent where nothing is known. */
  readonly remaining?: number;
}

/** GPUs of one grid and what they hold. */
export interface Holdings {
  /** By layout. */
  readonly gpus: BucketedGpus;
  /** The slices that make up the layout of the GPU. */
  occupantsOf(gpu: number): readonly Occupant[];
}
