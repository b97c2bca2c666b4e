// What a node reports again and again, compared with what it reported before.
import type { ObservedGpu, ObservedNode } from './observed.ts';

/** The report, with the objects of the one before for all that is as it was: what is the same object needs no second look. */
export function sharing(before: ObservedNode, next: ObservedNode): ObservedNode {
  if (before.gpus === next.gpus) return next;
  const gpus = next.gpus.map((gpu, at) => sharingGpu(before.gpus[at], gpu));
  const isSame = gpus.length === before.gpus.length && gpus.every((gpu, at) => gpu === before.gpus[at]);
  return { ...next, gpus: isSame ? before.gpus : gpus };
}

/** Whether placement would find the same there. */
export function offersTheSame(one: ObservedNode, other: ObservedNode): boolean {
  return (
    one.gpus === other.gpus &&
    one.state === other.state &&
    one.cpuMilli === other.cpuMilli &&
    one.memoryMiB === other.memoryMiB &&
    isSame(one.conditions, other.conditions)
  );
}

function sharingGpu(before: ObservedGpu | undefined, next: ObservedGpu): ObservedGpu {
  if (before === undefined || before === next) return next;
  const gpu = before.grid !== next.grid && isSame(before.grid, next.grid) ? { ...next, grid: before.grid } : next;
  return isSame(before, gpu) ? before : gpu;
}

/** Of plain values; a field that is `undefined` is as one that is not there. */
function isSame(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  if (Array.isArray(one) || Array.isArray(other)) {
    if (!Array.isArray(one) || !Array.isArray(other) || one.length !== other.length) return false;
    for (let at = 0; at < one.length; at += 1) if (!isSame(one[at], other[at])) return false;
    return true;
  }
  const fields = one as Readonly<Record<string, unknown>>;
  const others = other as Readonly<Record<string, unknown>>;
  for (const name in others) if (!isSame(fields[name], others[name])) return false;
  for (const name in fields) if (fields[name] !== undefined && others[name] === undefined) return false;
  return true;
}
