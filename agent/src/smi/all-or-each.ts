import type { GpuUuid } from '@astrago/shared/domain/ids';
import { DriverFault } from '../app/ports.ts';
import { allGpus, oneGpu, type Scope } from './scope.ts';

/**
 * Asks about all GPUs with one command. One lost or hung GPU can spoil that for all, so then each of `known`
 * (by index, from the last time it worked) is asked alone and those that do not answer are left out. When
 * none answers, the fault of the whole is thrown: "no GPUs" has to be the driver's own word.
 */
export async function allOrEach<T>(
  known: ReadonlyMap<GpuUuid, number>,
  ask: (scope: Scope) => Promise<readonly T[]>,
  isOf: (answer: T, gpu: GpuUuid) => boolean,
): Promise<readonly T[]> {
  try {
    return await ask(allGpus);
  } catch (whole) {
    if (known.size === 0 || !isOfSomeGpu(whole)) throw whole;
    const answers: T[] = [];
    for (const [gpu, index] of known) {
      try {
        // The index may belong to another GPU by now.
        answers.push(...(await ask(oneGpu(gpu, String(index)))).filter((answer) => isOf(answer, gpu)));
      } catch (fault) {
        if (!isOfSomeGpu(fault)) throw fault;
      }
    }
    if (answers.length === 0) throw whole;
    return answers;
  }
}

/** Whether a fault may come from one GPU alone, and the others are worth asking. */
function isOfSomeGpu(fault: unknown): boolean {
  return fault instanceof DriverFault && fault.code !== 'driver-unavailable' && fault.code !== 'no-permission';
}
