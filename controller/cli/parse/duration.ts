const unitSeconds: Readonly<Record<string, number>> = { d: 86_400, h: 3600, m: 60, s: 1 };

/** `2h30m`, `90s`, `1d12h`, in seconds. A number without a unit is refused. */
export function parseDuration(text: string): number | undefined {
  const match = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(text.trim());
  if (match === null || text.trim() === '') return undefined;
  return Object.values(unitSeconds).reduce((sum, seconds, index) => sum + Number(match[index + 1] ?? 0) * seconds, 0);
}
