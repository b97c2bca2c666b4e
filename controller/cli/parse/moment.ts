/** `2026-12-01T14:00` in the time zone of the reader, or with its own as `2026-12-01T14:00Z` or `+01:00`; ms since the epoch. */
export function parseMoment(text: string): number | undefined {
  const match = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2})?)(Z|[+-]\d{2}:\d{2})?$/.exec(text.trim());
  if (match === null) return undefined;
  const [, day = '', time, zone = ''] = match;
  const atMs = Date.parse(`${day}T${time}${zone}`);
  // A day that the month does not have would be one of the next month.
  const isDay = new Date(`${day}T00:00Z`).getUTCDate() === Number(day.slice(8));
  return Number.isNaN(atMs) || !isDay ? undefined : atMs;
}
