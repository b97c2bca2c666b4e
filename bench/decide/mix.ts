// What arrives, as a list that is drawn from.
import { readFileSync } from 'node:fs';
import type { GpuAsk } from '@astrago/controller/core/cluster/records';
import { slice, whole } from '@astrago/controller/core/cluster/sample-cluster';

export interface Arrival {
  readonly ask: GpuAsk;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
}

type Row = readonly [pods: number, cpuMilli: number, memoryMiB: number, gpus: number, gpuMilli: number];

/** The asks that occur at least eight times among the 8,152 pods of the openb trace's default list: 7,958 of them. */
const openb: readonly Row[] = [
  [1047, 3152, 5600, 1, 810],
  [857, 11300, 49152, 1, 1000],
  [534, 11400, 48128, 1, 1000],
  [470, 3152, 5600, 1, 1000],
  [388, 11908, 47104, 1, 470],
  [364, 12500, 57344, 0, 0],
  [360, 8000, 30517, 1, 470],
  [284, 32000, 49152, 0, 0],
  [255, 18708, 64512, 1, 1000],
  [237, 11908, 47104, 1, 650],
  [195, 9810, 41560, 1, 1000],
  [163, 8000, 30517, 0, 0],
  [158, 15700, 58368, 1, 1000],
  [158, 12000, 24576, 1, 1000],
  [153, 11908, 47104, 1, 1000],
  [120, 15400, 51200, 0, 0],
  [111, 4000, 22888, 1, 320],
  [108, 16000, 32768, 1, 1000],
  [104, 8000, 16384, 1, 1000],
  [104, 4000, 24576, 1, 1000],
  [99, 12000, 16384, 1, 1000],
  [95, 16500, 51200, 0, 0],
  [93, 14200, 58368, 1, 1000],
  [84, 4000, 30517, 1, 230],
  [84, 24200, 93184, 1, 1000],
  [78, 4000, 15258, 1, 320],
  [75, 3152, 5600, 1, 590],
  [72, 8000, 30517, 1, 320],
  [72, 4152, 10600, 1, 550],
  [65, 11400, 77824, 1, 1000],
  [55, 8000, 32768, 1, 1000],
  [53, 4000, 15258, 1, 160],
  [51, 6000, 6144, 1, 460],
  [51, 11900, 77824, 1, 1000],
  [45, 4152, 10600, 1, 370],
  [44, 12000, 15360, 1, 1000],
  [43, 4000, 30517, 1, 320],
  [41, 8200, 33792, 1, 1000],
  [40, 4000, 31250, 1, 1000],
  [36, 15200, 80896, 1, 1000],
  [33, 16000, 65536, 1, 1000],
  [31, 4152, 10600, 1, 810],
  [29, 6000, 12288, 1, 460],
  [27, 16400, 125952, 1, 1000],
  [26, 4000, 22888, 1, 230],
  [24, 4000, 15258, 1, 220],
  [22, 1000, 2048, 1, 320],
  [20, 6000, 22888, 1, 160],
  [19, 8000, 30517, 1, 220],
  [18, 88000, 327680, 8, 1000],
  [18, 8000, 30517, 1, 230],
  [18, 64200, 263168, 8, 1000],
  [18, 6000, 18432, 1, 460],
  [18, 4000, 22888, 1, 480],
  [16, 11300, 37888, 1, 1000],
  [15, 1000, 6144, 1, 1000],
  [12, 8000, 30517, 1, 650],
  [12, 4000, 15258, 1, 230],
  [11, 8000, 15625, 0, 0],
  [11, 7000, 30000, 1, 1000],
  [11, 4000, 22888, 1, 220],
  [11, 11400, 57344, 0, 0],
  [9, 6000, 8192, 1, 460],
  [9, 4000, 22888, 1, 110],
  [9, 32200, 132096, 4, 1000],
  [9, 15400, 90112, 1, 1000],
  [8, 4000, 30517, 1, 220],
  [8, 4000, 16384, 1, 1000],
  [8, 4000, 15258, 1, 110],
  [8, 16000, 31250, 0, 0],
  [8, 14900, 73728, 1, 1000],
  [8, 12000, 47104, 1, 1000],
  [8, 12000, 32768, 1, 1000],
];

const slices = ['1g.10gb', '2g.20gb', '3g.40gb', '1g.20gb', '1g.10gb', '4g.40gb', '7g.80gb'];

export const mixNames = ['openb', 'mig', 'both'] as const;

/** @param podsFile a pod list of the trace, instead of the table. */
export function mixOf(name: (typeof mixNames)[number], podsFile: string | undefined): readonly Arrival[] {
  const rows = podsFile === undefined ? openb : rowsOf(podsFile);
  const pods = rows.flatMap((row) => new Array<Arrival>(row[0]).fill(arrivalOf(row)));
  const cuts = slices.map((profile) => ({ ask: slice(profile), cpuMilli: 2000, memoryMiB: 8192 }));
  switch (name) {
    case 'openb':
      return pods;
    case 'mig':
      return [...cuts, { ask: whole(1), cpuMilli: 8000, memoryMiB: 32_768 }];
    case 'both':
      // As many slices as pods.
      return [...pods, ...cuts.flatMap((cut) => new Array<Arrival>(Math.ceil(pods.length / cuts.length)).fill(cut))];
    default:
      return name satisfies never;
  }
}

function arrivalOf([, cpuMilli, memoryMiB, gpus, gpuMilli]: Row): Arrival {
  return { ask: askOf(gpus, gpuMilli), cpuMilli, memoryMiB };
}

function askOf(gpus: number, gpuMilli: number): GpuAsk {
  if (gpus === 0) return { kind: 'none' };
  return gpus > 1 || gpuMilli === 1000 ? whole(gpus) : { kind: 'share', by: 'mps', milli: gpuMilli, memoryMiB: undefined };
}

function rowsOf(file: string): readonly Row[] {
  const [, ...lines] = readFileSync(file, 'utf8').trim().split(/\r?\n/);
  return lines.map((line): Row => {
    const [, cpuMilli = '', memoryMiB = '', gpus = '', gpuMilli = ''] = line.split(',');
    return [1, Number(cpuMilli), Number(memoryMiB), Number(gpus), Number(gpuMilli)];
  });
}
