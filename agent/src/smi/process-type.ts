import type { ProcessType } from '../app/ports.ts';

const server = /(?:^|[\\/])nvidia-cuda-mps-server(?:\s|$)/;

/**
 * `C`, `G`, `C+G` and `M+C` as printed, and the MPS server, which is only known by its name. Absent where the type is not
 * told or new.
 */
export function processTypeOf(printed: string | undefined, name: string): ProcessType | undefined {
  if (server.test(name)) return 'mps-server';
  const parts = new Set((printed ?? '').split('+').map((part) => part.trim()));
  if (parts.has('M')) return 'mps-client';
  if (parts.has('C')) return parts.has('G') ? 'compute-and-graphics' : 'compute';
  return parts.has('G') ? 'graphics' : undefined;
}
