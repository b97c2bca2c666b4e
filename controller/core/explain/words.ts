// Lists, numbers and times as they stand in sentences.

export function listed(names: readonly string[], word: 'and' | 'or'): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} ${word} ${names.at(-1)}`;
}

/** No more than so many by name: `a, b, c and 4 more`. */
export function shortened(names: readonly string[], namesMax: number): string {
  return names.length <= namesMax ? listed(names, 'and') : `${names.slice(0, namesMax).join(', ')} and ${names.length - namesMax} more`;
}

export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** The form of a verb that goes with so many. */
export function verb(subjects: readonly unknown[], one: string, many: string): string {
  return subjects.length === 1 ? one : many;
}

/** `40 s`, `25 min`, `3 h 10 min`, `2 d 4 h`: as exactly as an estimate is worth. */
export function duration(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 36) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  const days = Math.floor(hours / 24);
  return hours % 24 === 0 ? `${days} d` : `${days} d ${hours % 24} h`;
}

/** `14:20`, of the day in UTC. */
export function clockTime(atMs: number): string {
  return new Date(atMs).toISOString().slice(11, 16);
}

/** `2026-12-01 14:20 UTC`, for what may be days from now. */
export function dateTime(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

export function memory(mib: number): string {
  return mib >= 1024 ? `${Math.round((mib / 1024) * 10) / 10} GiB` : `${mib} MiB`;
}

export function cpus(milli: number): string {
  const count = milli / 1000;
  return `${count} CPU${count === 1 ? '' : 's'}`;
}
