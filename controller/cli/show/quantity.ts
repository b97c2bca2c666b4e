// Amounts as a person reads them.

export function humanMemory(mib: number | undefined): string | undefined {
  if (mib === undefined) return undefined;
  if (mib < 1024) return `${mib}Mi`;
  const gib = mib / 1024;
  return gib < 1024 ? `${short(gib)}Gi` : `${short(gib / 1024)}Ti`;
}

export function humanCpus(milli: number | undefined): string | undefined {
  return milli === undefined ? undefined : short(milli / 1000);
}

/** `3/14`: used of all. An unknown whole stays unknown. */
export function usedOf(used: string | number | undefined, all: string | number | undefined): string {
  return `${used ?? '--'}/${all ?? '--'}`;
}

export function percent(ratio: number | undefined): string | undefined {
  return ratio === undefined ? undefined : `${Math.round(ratio * 100)}%`;
}

/** Thousandths as a person says them: `30%`, `33.3%`. */
export function percentOfMilli(milli: number): string {
  return `${milli / 10}%`;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

function short(value: number): string {
  return value >= 100 ? value.toFixed(0) : String(Number(value.toFixed(1)));
}
