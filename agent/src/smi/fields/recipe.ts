import { type GpuMeasure, gpuMeasures, type SliceMeasure, sliceMeasures, type Unit } from '#core/telemetry/sample';
import { performanceState, quantity } from './quantity.ts';

/**
 * How a measure is made of what is printed. Each of `of` is one printed value under all the names it ever had, newest
 * first. `first` takes the first that was measured, `any` is 1 where one flag is, `sum` adds those that were measured.
 */
export interface Recipe {
  readonly how: 'first' | 'any' | 'sum';
  readonly of: readonly (readonly string[])[];
}

export function first(...of: readonly (string | readonly string[])[]): Recipe {
  return { how: 'first', of: of.map(namesOf) };
}

export function any(...of: readonly (string | readonly string[])[]): Recipe {
  return { how: 'any', of: of.map(namesOf) };
}

export function sum(...of: readonly (string | readonly string[])[]): Recipe {
  return { how: 'sum', of: of.map(namesOf) };
}

function namesOf(names: string | readonly string[]): readonly string[] {
  return typeof names === 'string' ? [names] : names;
}

/** What may be printed of a measure, stricter than its unit. */
export function readGpuValue(measure: GpuMeasure, text: string): number | undefined {
  switch (measure) {
    case 'performance-state':
      return performanceState(text);
    case 'pcie-generation':
    case 'pcie-generation-max':
    case 'pcie-width':
    case 'pcie-width-max':
      // No link has none.
      return within(quantity(text, 'count'), 1, 64);
    default:
      return quantity(text, gpuMeasures[measure].unit);
  }
}

export function readSliceValue(measure: SliceMeasure, text: string): number | undefined {
  return quantity(text, sliceMeasures[measure].unit satisfies Unit);
}

function within(value: number | undefined, min: number, max: number): number | undefined {
  return value === undefined || value < min || value > max ? undefined : value;
}

/** `values` are those of {@link Recipe.of} that were measured, in that order. */
export function combine(how: Recipe['how'], values: readonly number[]): number | undefined {
  const [head] = values;
  if (head === undefined || how === 'first') return head;
  return how === 'any' ? Math.max(...values) : values.reduce((a, b) => a + b, 0);
}
