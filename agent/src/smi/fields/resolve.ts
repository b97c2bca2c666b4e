import { type GpuMeasure, type GpuWords, gpuMeasures } from '#core/telemetry/sample';
import type { FieldSupport } from '../../app/telemetry-source.ts';
import { isOldName, queryFields, queryMeasures, queryWords } from './query-catalogue.ts';

/** What `--query-gpu` is asked for, decided once for a driver. */
export interface ResolvedFields {
  /** In the order they are asked for; empty when nothing can be asked. */
  readonly columns: readonly string[];
  readonly support: readonly FieldSupport[];
}

export const logSource = '-q -x';

/** Those that no `--query-gpu` of any driver gives. */
export function logOnly(measure: GpuMeasure): boolean {
  return queryMeasures[measure] === undefined;
}

/**
 * Of each value the newest name that the driver offers. Without its word on that (`offered` absent) the names of old
 * drivers are tried, since new drivers still take most of them; those that are not `allowed` are never asked for.
 */
export function resolveFields(offered: ReadonlySet<string> | undefined, allowed: (name: string) => boolean = () => true): ResolvedFields {
  const known = (name: string): boolean => allowed(name) && (offered === undefined ? isOldName(name) : offered.has(name));
  const chosen = new Map<readonly string[], string>();
  for (const names of queryFields) {
    const name = names.find(known);
    if (name !== undefined) chosen.set(names, name);
  }
  const support: FieldSupport[] = [];
  for (const measure of Object.keys(gpuMeasures) as GpuMeasure[]) {
    const of = queryMeasures[measure]?.of ?? [];
    const sources = of.flatMap((names) => chosen.get(names) ?? []);
    const [newest] = of[0] ?? [];
    if (newest === undefined) continue;
    if (sources.length === 0) support.push({ field: measure, source: newest, supported: false });
    for (const source of sources) support.push({ field: measure, source, supported: true });
  }
  for (const [word, names] of Object.entries(queryWords) as [keyof GpuWords, readonly string[]][]) {
    const source = chosen.get(names);
    support.push({ field: word, source: source ?? names[0] ?? word, supported: source !== undefined });
  }
  return { columns: [...new Set(chosen.values())], support };
}
