// `nvidia-smi --help-query-gpu`
import { linesOf, type Parsed, parsed, unreadable } from './parsed.ts';

const entry = /^"[\w.]+"(?: or "[\w.]+")*\s*$/;

/** Every name that `--query-gpu` takes, aliases included. One unknown name fails a whole query, so ask first. */
export function parseQueryFields(text: string): Parsed<ReadonlySet<string>> {
  const names = new Set<string>();
  for (const line of linesOf(text)) {
    if (!entry.test(line)) continue;
    for (const [, name] of line.matchAll(/"([\w.]+)"/g)) if (name !== undefined) names.add(name);
  }
  return names.size === 0 ? unreadable('no field names') : parsed(names);
}
