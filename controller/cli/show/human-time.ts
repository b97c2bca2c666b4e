/** A length of time as a person says it: `840ms`, `12s`, `5m03s`, `3h07m`, `12d4h`. */
export function humanDuration(ms: number): string {
  if (ms < 0) return '0s';
  if (ms < 1000) return `${Math.round(ms)}ms`;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return ms < 10_000 ? `${(Math.floor(ms / 100) / 10).toFixed(1)}s` : `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${two(seconds % 60)}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours}h${two(minutes % 60)}m`;
  return `${Math.floor(hours / 24)}d${hours % 24}h`;
}

export function humanAge(atMs: number | undefined, nowMs: number): string | undefined {
  return atMs === undefined ? undefined : humanDuration(nowMs - atMs);
}

/** In the time zone of the reader, with its offset, and how long ago. */
export function humanMoment(atMs: number | undefined, nowMs: number): string | undefined {
  if (atMs === undefined) return undefined;
  const at = new Date(atMs);
  const offset = -at.getTimezoneOffset();
  const shifted = new Date(atMs + offset * 60_000).toISOString().replace('T', ' ').slice(0, 19);
  const sign = offset < 0 ? '-' : '+';
  return `${shifted} ${sign}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)} (${humanDuration(nowMs - atMs)} ago)`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** `14:20`, in the time zone of the reader. */
export function humanClock(atMs: number): string {
  const at = new Date(atMs);
  return `${two(at.getHours())}:${two(at.getMinutes())}`;
}
