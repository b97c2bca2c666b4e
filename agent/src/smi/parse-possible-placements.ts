// `nvidia-smi mig -lgipp`
import { noInstances } from './parse-gpu-instances.ts';
import { linesOf, type Parsed, parsed, unreadable } from './parsed.ts';

export interface PossiblePlacements {
  readonly gpuIndex: number;
  readonly profileId: number;
  /** Ascending. */
  readonly starts: readonly number[];
  readonly size: number;
}

/** `Placement :` where there is only one. */
const entry = /^GPU\s+(\d{1,4})\s+Profile ID\s+(\d{1,4})\s+Placements?\s*:\s*\{(\d{1,4}(?:,\d{1,4})*)?\}:(\d{1,4})$/;

export function parsePossiblePlacements(text: string): Parsed<readonly PossiblePlacements[]> {
  const found: PossiblePlacements[] = [];
  for (const raw of linesOf(text)) {
    const line = raw.trim();
    if (line === '' || noInstances.test(line)) continue;
    const match = entry.exec(line);
    if (match === null) return unreadable('not the placements of a profile', line);
    const starts = match[3] === undefined ? [] : match[3].split(',').map(Number);
    found.push({
      gpuIndex: Number(match[1]),
      profileId: Number(match[2]),
      starts: [...new Set(starts)].sort((a, b) => a - b),
      size: Number(match[4]),
    });
  }
  if (found.length === 0 && !noInstances.test(text)) return unreadable('no placements');
  return parsed(found);
}
