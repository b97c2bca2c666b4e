// `nvidia-smi -L`
import { type GpuUuid, parseGpuUuid } from '@astrago/shared/domain/ids';
import { linesOf, type Parsed, parsed, unreadable } from './parsed.ts';

export interface ListedGpu {
  readonly index: number;
  readonly name: string;
  readonly uuid: GpuUuid;
  /** In printed order, which is by GPU instance and then compute instance. */
  readonly devices: readonly ListedMigDevice[];
}

export interface ListedMigDevice {
  readonly index: number;
  /** Of the compute instance, without the leading `MIG `. */
  readonly profileName: string;
  /** `MIG-` and a UUID, or up to R460 `MIG-GPU-<uuid>/<gpu instance>/<compute instance>`. */
  readonly uuid: string;
}

const gpu = /^GPU\s+(\d{1,4}):\s+(.*?)\s*\(UUID:\s*(\S+)\)$/;
/** The name is padded to twelve characters, so one of twelve or more may touch the word after it. */
const device = /^MIG\s+(\S+?)\s*Device\s+(\d{1,4}):\s*\(UUID:\s*(MIG-[0-9A-Za-z/-]+)\)$/;
const lost = /^Unable to determine the device handle|GPU is lost/i;

/** A GPU that fell off the bus has a line of its own, and is left out. No line at all says nothing of any GPU. */
export function parseGpuList(text: string): Parsed<readonly ListedGpu[]> {
  if (text.trim() === '') return unreadable('no output');
  const found: (Omit<ListedGpu, 'devices'> & { readonly devices: ListedMigDevice[] })[] = [];
  for (const raw of linesOf(text)) {
    const line = raw.trim();
    if (line === '' || line === 'No devices were found' || lost.test(line)) continue;
    const [, index, name, uuidText] = gpu.exec(line) ?? [];
    if (index !== undefined && name !== undefined && uuidText !== undefined) {
      const uuid = parseGpuUuid(uuidText);
      if (uuid === undefined) return unreadable('not the UUID of a GPU', line);
      found.push({ index: Number(index), name, uuid, devices: [] });
      continue;
    }
    const [, profileName, deviceIndex, migUuid] = device.exec(line) ?? [];
    const owner = found.at(-1);
    if (profileName === undefined || migUuid === undefined || owner === undefined)
      return unreadable('neither a GPU nor a MIG device', line);
    owner.devices.push({ index: Number(deviceIndex), profileName, uuid: migUuid });
  }
  return parsed(found);
}
