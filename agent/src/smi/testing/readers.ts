// Everything that reads what nvidia-smi prints, under one name each.
import type { GpuMeasure } from '#core/telemetry/sample';
import { sampleLineReader } from '../fields/sample-rows.ts';
import { factFields, parseGpuFacts } from '../gpu-facts.ts';
import { Documents } from '../loop/documents.ts';
import type { Framed, Framer } from '../loop/framer.ts';
import { RowRounds } from '../loop/row-rounds.ts';
import { parseComputeApps } from '../parse-compute-apps.ts';
import { parseComputeInstances } from '../parse-compute-instances.ts';
import { parseDeviceLog } from '../parse-device-log.ts';
import { parseDeviceText } from '../parse-device-text.ts';
import { parseGpuInstanceProfiles } from '../parse-gpu-instance-profiles.ts';
import { parseGpuInstances } from '../parse-gpu-instances.ts';
import { parseGpuList } from '../parse-gpu-list.ts';
import { parsePossiblePlacements } from '../parse-possible-placements.ts';
import { parseQueryFields } from '../parse-query-fields.ts';
import { parseQueryRows } from '../parse-query-rows.ts';
import { parseSamples } from '../parse-samples.ts';
import { parseTopology } from '../parse-topology.ts';
import type { Parsed } from '../parsed.ts';

export const sampleColumns = [
  'index',
  'uuid',
  'driver_version',
  'utilization.gpu',
  'memory.used',
  'temperature.gpu',
  'power.draw',
  'fabric.status',
];

export const parsers: Readonly<Record<string, (text: string) => Parsed<unknown>>> = {
  '-L': parseGpuList,
  '-lgip': parseGpuInstanceProfiles,
  '-lgipp': parsePossiblePlacements,
  '-lgi': parseGpuInstances,
  '-lci': parseComputeInstances,
  help: parseQueryFields,
  facts: (text) => parseGpuFacts(text, factFields),
  rows: (text) => parseQueryRows(text, ['index', 'name', 'mig.mode.current']),
  samples: (text) => parseSamples(text, sampleColumns),
  apps: (text) => parseComputeApps(text),
  xml: parseDeviceLog,
  text: parseDeviceText,
  'topo -m': parseTopology,
};

/** All that a framer makes of chunks, the end of the program included. */
export function framed<Round>(framer: Framer<Round>, chunks: readonly string[], quietAfter = -1): readonly Framed<Round>[] {
  return [...chunks.flatMap((chunk, at) => [...framer.push(chunk), ...(at === quietAfter ? framer.flush() : [])]), ...framer.end()];
}

export const framers: Readonly<Record<string, () => Framer<unknown>>> = {
  rounds: () => new RowRounds(sampleColumns),
  documents: () => new Documents(200_000),
};

/** Throws where an answer holds a number that cannot have been printed. */
export function expectSound(value: unknown, reader: string, key = ''): void {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new Error(`${reader} made ${key} ${value}`);
    if (value < 0 && !key.startsWith('temperature') && key !== 'memory-temperature' && key !== 'temperatureCelsius')
      throw new Error(`${reader} made ${key} ${value}`);
    if (value > 1 && (ratios.has(key) || key === 'utilizationRatio')) throw new Error(`${reader} made ${key} ${value}`);
    return;
  }
  if (value instanceof Set) return;
  if (typeof value === 'object' && value !== null) for (const [name, inner] of Object.entries(value)) expectSound(inner, reader, name);
}

const ratios: ReadonlySet<string> = new Set<GpuMeasure>([
  'gpu-utilization',
  'memory-utilization',
  'encoder-utilization',
  'decoder-utilization',
  'jpeg-utilization',
  'ofa-utilization',
  'fan-speed',
]);

export function readLine(line: string): void {
  expectSound(sampleLineReader(sampleColumns)(line), 'line');
}
