import { appendFileSync } from 'node:fs';
import { join } from 'node:path';

/** Appends to `control.log` or `server.log`, in the form of the real ones: `[2026-05-31 23:46:49.893 Control 11107] text`. */
export function logTo(directory: string, file: 'control.log' | 'server.log', who: 'Control' | 'Other', pid: number, text: string): void {
  const now = new Date();
  const local = new Date(now.getTime() - now.getTimezoneOffset() * 60_000).toISOString().replace('T', ' ').slice(0, 23);
  try {
    appendFileSync(join(directory, file), `[${local} ${who} ${String(pid).padStart(5)}] ${text}\n`);
  } catch {
    // A log that cannot be written stops nobody.
  }
}
