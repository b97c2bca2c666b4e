import type { MigGrid } from '@astrago/shared/domain/mig/grid';

// A node reports its grids anew each time, so that equal ones are not one object.
const keys = new WeakMap<MigGrid, string>();
const numbers = new Map<string, string>();

/** Short, and equal for equal grids. */
export function gridKey(grid: MigGrid | undefined): string {
  if (grid === undefined) return 'uncut';
  const known = keys.get(grid);
  if (known !== undefined) return known;
  const text = JSON.stringify(grid);
  const key = numbers.get(text) ?? `grid${numbers.size}`;
  numbers.set(text, key);
  keys.set(grid, key);
  return key;
}
