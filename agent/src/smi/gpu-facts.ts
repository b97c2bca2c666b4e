import { type GpuUuid, parseGpuUuid } from '@astrago/shared/domain/ids';
import { parseQueryRows } from './parse-query-rows.ts';
import { type Parsed, parsed, unreadable } from './parsed.ts';
import { type PrintedMode, printedAmount, printedDriverVersion, printedId, printedMode } from './printed-value.ts';

/** What one `--query-gpu` line says of a GPU, before its slices and profiles are known. */
export interface GpuFacts {
  readonly uuid: GpuUuid;
  readonly index: number;
  readonly model: string;
  readonly pciBusId: string;
  readonly memoryMiB: number | undefined;
  readonly migMode: Exclude<PrintedMode, 'unknown'>;
  /** `false` where nobody has said the mode: then it is taken for one that is not offered. */
  readonly modeIsTold: boolean;
  /** Absent where it is not printed or says the same as `migMode`. */
  readonly migPending: boolean | undefined;
  readonly driverVersion: string | undefined;
  /** Of a GPU that is listed, and told to be lost. */
  readonly isLost?: boolean;
}

/** In the order they are asked for; those a driver does not know are left out of the question. */
export const factFields = [
  'index',
  'uuid',
  'name',
  'pci.bus_id',
  'memory.total',
  'mig.mode.current',
  'mig.mode.pending',
  'driver_version',
] as const;

export type FactField = (typeof factFields)[number];

const busId = /^(?:[0-9A-F]{4,8}:[0-9A-F]{2}:[0-9A-F]{2}\.[0-9A-F]|\[.*\]|N\/A)$/i;

function busIdOf(text: string): string {
  return /^[[N]/i.test(text) ? '' : text;
}

const lostToken = /^\[?(?:GPU is lost|Unknown Error|GPU requires reset)\]?$/i;

/** A line whose mode says that the GPU is lost is left out; a line that cannot be read makes the whole unreadable. */
export function parseGpuFacts(text: string, fields: readonly FactField[]): Parsed<readonly GpuFacts[]> {
  const rows = parseQueryRows<string>(text, fields);
  if (rows.kind === 'unreadable') return rows;
  const facts: GpuFacts[] = [];
  for (const row of rows.value) {
    // A stand-in may print its header whatever it is told.
    if (row['uuid'] === 'uuid') continue;
    const line = Object.values(row).join(', ');
    const uuid = parseGpuUuid(row['uuid'] ?? '');
    const index = printedId(row['index'] ?? '');
    if (uuid === undefined || index === undefined) return unreadable('a GPU without index or UUID', line);
    const current = row['mig.mode.current'] ?? '[N/A]';
    if (lostToken.test(current)) continue;
    // Of a stand-in that prints other columns than it was asked for.
    const pciBusId = row['pci.bus_id'] ?? '';
    if (pciBusId !== '' && !busId.test(pciBusId)) return unreadable('not a PCI bus id', line);
    const migMode = printedMode(current);
    if (migMode === 'unknown') return unreadable('not a MIG mode', line);
    const pending = printedMode(row['mig.mode.pending'] ?? '[N/A]');
    facts.push({
      uuid,
      index,
      model: row['name'] ?? '',
      pciBusId: busIdOf(pciBusId),
      memoryMiB: printedAmount(row['memory.total'] ?? ''),
      migMode,
      modeIsTold: fields.includes('mig.mode.current'),
      migPending: (pending === 'enabled' || pending === 'disabled') && pending !== migMode ? pending === 'enabled' : undefined,
      driverVersion: printedDriverVersion(row['driver_version'] ?? ''),
    });
  }
  return parsed(facts);
}
