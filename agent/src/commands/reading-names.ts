import {
  type GpuMeasure,
  type GpuSample,
  gpuMeasures,
  type SliceMeasure,
  type SliceSample,
  sliceMeasures,
  type Unit,
} from '#core/telemetry/sample';

/** What a name ends in. Counts and yes-or-no need no unit. */
const suffixes: Readonly<Record<Unit, string>> = {
  ratio: 'Ratio',
  bytes: 'Bytes',
  celsius: 'Celsius',
  watts: 'Watts',
  joules: 'Joules',
  hertz: 'Hertz',
  seconds: 'Seconds',
  'bytes-per-second': 'BytesPerSecond',
  count: '',
  flag: '',
};

/** `memory-used` in bytes becomes `memoryUsedBytes`. */
export function readingName(measure: string, unit: Unit): string {
  return measure.replace(/-(.)/g, (_dash, letter: string) => letter.toUpperCase()) + suffixes[unit];
}

type Reading = number | boolean | string;

export function gpuReadings(sample: GpuSample): Readonly<Record<string, Reading>> {
  const words = Object.entries(sample.words).filter((entry): entry is [string, string | boolean] => entry[1] !== undefined);
  return { ...named(sample.values, (measure) => gpuMeasures[measure as GpuMeasure].unit), ...Object.fromEntries(words) };
}

export function sliceReadings(sample: SliceSample): Readonly<Record<string, Reading>> {
  return named(sample.values, (measure) => sliceMeasures[measure as SliceMeasure].unit);
}

function named(values: Readonly<Record<string, number | undefined>>, unitOf: (measure: string) => Unit): Readonly<Record<string, Reading>> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([measure, value]) => {
      if (value === undefined) return [];
      const unit = unitOf(measure);
      return [[readingName(measure, unit), unit === 'flag' ? value === 1 : value]];
    }),
  );
}
