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
  const { day, time, offset } = local(atMs);
  return `${day} ${time} ${offset} (${humanDuration(nowMs - atMs)} ago)`;
}

/** `2026-12-01 14:20 +01:00`, in the time zone of the reader. */
export function humanDate(atMs: number): string {
  const { day, time, offset } = local(atMs);
  return `${day} ${time.slice(0, 5)} ${offset}`;
}

function local(atMs: number): { readonly day: string; readonly time: string; readonly offset: string } {
  const minutes = -new Date(atMs).getTimezoneOffset();
  const shifted = new Date(atMs + minutes * 60_000).toISOString();
  const sign = minutes < 0 ? '-' : '+';
  const offset = `${sign}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
  return { day: shifted.slice(0, 10), time: shifted.slice(11, 19), offset };
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** `14:20`, in the time zone of the reader. */
export function humanClock(atMs: number): string {
  const at = new Date(atMs);
  return `${two(at.getHours())}:${two(at.getMinutes())}`;
}
