// What is measured of a device, in base units whatever the driver prints. A value that was not measured is absent (I9).
import type { GpuUuid } from '@astrago/shared/domain/ids';

/** `ratio` is 0 to 1, `flag` is 0 or 1, `count` is a number of things. */
export type Unit = 'ratio' | 'bytes' | 'celsius' | 'watts' | 'joules' | 'hertz' | 'seconds' | 'count' | 'flag' | 'bytes-per-second';

interface MeasureFacts {
  readonly unit: Unit;
  /** Only grows, until the driver is loaded again. */
  readonly counter: boolean;
  readonly text: string;
}

function gauge(unit: Unit, text: string): MeasureFacts {
  return { unit, counter: false, text };
}

function counter(unit: Unit, text: string): MeasureFacts {
  return { unit, counter: true, text };
}

/** Of a whole board, also where it is cut. */
export const gpuMeasures = {
  'gpu-utilization': gauge('ratio', 'share of time in which a kernel ran; not measured while the GPU is cut'),
  'memory-utilization': gauge('ratio', 'share of time in which device memory was read or written'),
  'encoder-utilization': gauge('ratio', 'share of time in which the video encoder was busy'),
  'decoder-utilization': gauge('ratio', 'share of time in which the video decoder was busy'),
  'jpeg-utilization': gauge('ratio', 'share of time in which the JPEG engine was busy'),
  'ofa-utilization': gauge('ratio', 'share of time in which the optical flow engine was busy'),
  'memory-total': gauge('bytes', 'memory of the board'),
  'memory-reserved': gauge('bytes', 'memory that driver and firmware keep'),
  'memory-used': gauge('bytes', 'memory in use'),
  'memory-free': gauge('bytes', 'memory not in use'),
  temperature: gauge('celsius', 'temperature of the GPU'),
  'temperature-margin': gauge('celsius', 'degrees left to the temperature at which the clocks are held down'),
  'memory-temperature': gauge('celsius', 'temperature of the memory'),
  'fan-speed': gauge('ratio', 'fan speed that the driver intends'),
  power: gauge('watts', 'power drawn by the board, averaged by the driver over at most a second'),
  'power-limit': gauge('watts', 'power limit in force'),
  energy: counter('joules', 'energy drawn since the driver was loaded'),
  'performance-state': gauge('count', 'P-state, 0 is the fastest'),
  'sm-clock': gauge('hertz', 'clock of the streaming multiprocessors'),
  'memory-clock': gauge('hertz', 'clock of the memory'),
  'graphics-clock': gauge('hertz', 'clock of the graphics engine'),
  'video-clock': gauge('hertz', 'clock of the video engines'),
  'sm-clock-max': gauge('hertz', 'highest clock of the streaming multiprocessors'),
  'memory-clock-max': gauge('hertz', 'highest clock of the memory'),
  'slowed-by-thermal': gauge('flag', 'the clocks are held down by temperature, in hardware or software'),
  'slowed-by-power-cap': gauge('flag', 'the clocks are held down by the power limit'),
  'slowed-by-power-brake': gauge('flag', 'the clocks are held down by the power supply of the machine'),
  'thermal-slowdown-time': counter('seconds', 'time with the clocks held down by temperature'),
  'power-cap-time': counter('seconds', 'time with the clocks held down by the power limit'),
  'power-brake-time': counter('seconds', 'time with the clocks held down by the power supply of the machine'),
  'ecc-corrected': counter('count', 'memory errors corrected since the driver was loaded'),
  'ecc-uncorrected': counter('count', 'memory errors not corrected since the driver was loaded'),
  'ecc-corrected-lifetime': counter('count', 'memory errors corrected in the life of the board'),
  'ecc-uncorrected-lifetime': counter('count', 'memory errors not corrected in the life of the board'),
  'sram-threshold-exceeded': gauge('flag', 'on-chip memory has had more errors than its maker allows'),
  'remapped-rows-correctable': counter('count', 'memory rows replaced after corrected errors'),
  'remapped-rows-uncorrectable': counter('count', 'memory rows replaced after uncorrected errors'),
  'row-remap-pending': gauge('flag', 'a row is replaced at the next reset'),
  'row-remap-failure': gauge('flag', 'a row could not be replaced'),
  'retired-pages-single-bit': counter('count', 'memory pages retired after repeated single-bit errors'),
  'retired-pages-double-bit': counter('count', 'memory pages retired after a double-bit error'),
  'retired-pages-pending': gauge('flag', 'a page is retired at the next reset'),
  'pcie-generation': gauge('count', 'PCIe generation of the link now; lower while idle'),
  'pcie-generation-max': gauge('count', 'highest PCIe generation of GPU and slot together'),
  'pcie-width': gauge('count', 'lanes of the link now'),
  'pcie-width-max': gauge('count', 'lanes that GPU and slot allow together'),
  'pcie-replays': counter('count', 'PCIe transfers repeated after an error'),
  'pcie-sent': gauge('bytes-per-second', 'PCIe traffic from the GPU'),
  'pcie-received': gauge('bytes-per-second', 'PCIe traffic to the GPU'),
  'encoder-sessions': gauge('count', 'open sessions of the video encoder'),
} as const satisfies Readonly<Record<string, MeasureFacts>>;

export type GpuMeasure = keyof typeof gpuMeasures;

/** Of a MIG slice. Memory belongs to the GPU instance: compute instances of one instance share the figure. */
export const sliceMeasures = {
  'memory-total': gauge('bytes', 'memory of the GPU instance'),
  'memory-reserved': gauge('bytes', 'memory of the GPU instance that driver and firmware keep'),
  'memory-used': gauge('bytes', 'memory of the GPU instance in use'),
  'memory-free': gauge('bytes', 'memory of the GPU instance not in use'),
  'sram-uncorrected': counter('count', 'on-chip memory errors not corrected since the driver was loaded'),
  multiprocessors: gauge('count', 'streaming multiprocessors of the compute instance'),
  'graphics-activity': gauge('ratio', 'share of time in which the compute engine of the slice was busy'),
  'sm-activity': gauge('ratio', 'share of multiprocessors with work, over time'),
} as const satisfies Readonly<Record<string, MeasureFacts>>;

export type SliceMeasure = keyof typeof sliceMeasures;

/** What the driver says in words; absent where it says nothing. */
export interface GpuWords {
  readonly computeMode?: 'default' | 'exclusive-process' | 'prohibited' | undefined;
  readonly persistence?: boolean | undefined;
  /** What the driver itself asks for; newer drivers only. */
  readonly recoveryAction?: 'none' | 'drain' | 'drain-and-reset' | 'reset' | 'reboot' | undefined;
  readonly fabricState?: 'not-started' | 'in-progress' | 'completed' | undefined;
  /** As printed once the state is `completed`; `Success` is the good one. */
  readonly fabricStatus?: string | undefined;
}

export interface GpuSample {
  readonly gpuUuid: GpuUuid;
  /** Wall clock of the agent when it was read, ms since the epoch. */
  readonly atMs: number;
  readonly values: Readonly<Partial<Record<GpuMeasure, number>>>;
  readonly words: GpuWords;
}

export interface SliceSample {
  readonly gpuUuid: GpuUuid;
  readonly gpuInstanceId: number;
  readonly computeInstanceId: number | undefined;
  readonly atMs: number;
  readonly values: Readonly<Partial<Record<SliceMeasure, number>>>;
}
