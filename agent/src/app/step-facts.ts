// What there is to know of a step beside what it is.

import { formatSlice, sameSlice, type WantedSlice } from '@astrago/shared/domain/mig/slice';
import { inTheWayOf, type Step } from '#core/next-step';
import type { ObservedGpu } from './ports.ts';

/** May take something away from somebody. */
export function isRisky(step: Step): boolean {
  return step.kind === 'destroy' || step.kind === 'set-mig-mode' || step.kind === 'reset';
}

/** As it stands in the ledger; equal for steps that fail together. */
export function describe(step: Step): string {
  switch (step.kind) {
    case 'set-mig-mode':
      return step.enabled ? 'enable MIG' : 'disable MIG';
    case 'reset':
      return 'reset';
    case 'complete':
      // One with its creation: a slice that cannot be completed cannot be made.
      return `create ${formatSlice(step.slice)}`;
    default:
      return `${step.kind} ${formatSlice(step.slice)}`;
  }
}

/** Which waiting allocations a failed step concerns. */
export function behind(step: Step, gpu: ObservedGpu): (slice: WantedSlice | undefined) => boolean {
  switch (step.kind) {
    case 'set-mig-mode':
    case 'reset':
      return () => true;
    case 'destroy':
      return (slice) => slice === undefined || inTheWayOf(slice, gpu).some((live) => sameSlice(live, step.slice));
    default:
      return (slice) => slice !== undefined && sameSlice(slice, step.slice);
  }
}

/** Whether a step that failed is one that a newcomer needs; a destroy may be in anybody's way. */
export function isFor(text: string, slice: WantedSlice | undefined): boolean {
  return !text.startsWith('create ') || (slice !== undefined && text === `create ${formatSlice(slice)}`);
}

/** Whether a step shows in a listing taken after it. What the driver says of its own success is not believed. */
export function hasEffect(step: Step, gpu: ObservedGpu): boolean {
  switch (step.kind) {
    case 'set-mig-mode':
      return gpu.migEnabled === step.enabled || gpu.migPending === step.enabled;
    case 'reset':
      return gpu.migPending === undefined;
    case 'destroy':
      return !gpu.slices.some((slice) => sameSlice(slice, step.slice) && slice.gpuInstanceId === step.slice.gpuInstanceId);
    default:
      return gpu.slices.some((slice) => sameSlice(slice, step.slice) && slice.computeInstanceId !== undefined);
  }
}
