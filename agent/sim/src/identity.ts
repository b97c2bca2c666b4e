import { createHash } from 'node:crypto';

/** Random looking, repeatable hex for one thing (`what`) of one machine (`seed`). */
export function seededHex(seed: string, what: string): string {
  return createHash('sha256').update(`${seed}\n${what}`).digest('hex');
}

export function gpuUuid(seed: string, index: number): string {
  return `GPU-${dashed(seededHex(seed, `gpu ${index}`))}`;
}

/**
 * Name based (version 5), as the driver does it: the slot decides, not the
 * profile, so re-creating in a slot gives the same UUID back.
 */
export function migUuid(uuidOfGpu: string, instanceId: number, computeInstanceId: number): string {
  const hash = createHash('sha1').update(`${uuidOfGpu}/${instanceId}/${computeInstanceId}`).digest();
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  return `MIG-${dashed(hash.toString('hex'))}`;
}

function dashed(hex: string): string {
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');
}
