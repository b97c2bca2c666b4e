// `nvidia-smi --help-query-gpu`
import { linesOf, type Parsed, parsed, unreadable } from './parsed.ts';

/** Names stand on lines of their own, before what they mean; what follows the last one varies. */
const entry = /^\s*("[\w.]+"(?:(?:\s*(?:,|\/|\bor\b|\band\b)\s*)+"[\w.]+")*)\s*(?:$|[:.,([–-]|\t)/;

/**
 * Every name that `--query-gpu` takes, aliases included. One unknown name fails a whole query, so ask first. A text
 * that does not even name the UUID is of another kind, or was cut short.
 */
export function parseQueryFields(text: string): Parsed<ReadonlySet<string>> {
  const names = new Set<string>();
  for (const line of linesOf(text)) {
    for (const [, name] of entry.exec(line)?.[1]?.matchAll(/"([\w.]+)"/g) ?? []) if (name !== undefined) names.add(name);
  }
  return names.has('uuid') || names.has('gpu_uuid') ? parsed(names) : unreadable('no field names');
}

/** The field that a query was refused for. */
export function refusedField(output: string): string | undefined {
  return /Field "([\w.]+)" is not a valid field to query/i.exec(output)?.[1];
}
