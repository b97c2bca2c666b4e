export interface GpuReference {
  readonly node: string;
  /** Index on its node, or UUID. */
  readonly gpu: string;
}

/** `sim-1/0` or `sim-1/GPU-5a…`. */
export function parseGpuReference(text: string): GpuReference | undefined {
  const match = /^([^/\s]+)\/(\d+|GPU-[0-9A-Za-z-]+)$/.exec(text);
  return match === null ? undefined : { node: match[1] as string, gpu: match[2] as string };
}
