/** One record: its message, and when it was logged where the line says that. */
export interface KernelRecord {
  /** Microseconds since the boot, as the kernel counts them; it does not count while the machine sleeps. */
  readonly sinceBootUs: number | undefined;
  readonly text: string;
}

/**
 * Lines as `/dev/kmsg` gives them (`4,1234,567890123,-;NVRM: ...`, see Documentation/ABI/testing/dev-kmsg of Linux), as
 * `dmesg` prints them (`[  567.890123] NVRM: ...`), or with whatever else in front (journald, syslog), which tells no time
 * since the boot. `undefined` for what continues the record before: there the kernel keeps its dictionary.
 */
export function parseRecord(line: string): KernelRecord | undefined {
  if (line.startsWith(' ') || line.trim() === '') return undefined;
  const raw = /^\d{1,10},\d{1,20},(\d{1,15}),[^;]{0,64};(.*)$/s.exec(line);
  if (raw !== null) return { sinceBootUs: Number(raw[1]), text: raw[2] ?? '' };
  const printed = /^(?:<\d{1,3}>)?\[\s{0,8}(\d{1,9})\.(\d{6})\] (.*)$/s.exec(line);
  if (printed !== null) return { sinceBootUs: Number(printed[1]) * 1_000_000 + Number(printed[2]), text: printed[3] ?? '' };
  return { sinceBootUs: undefined, text: line };
}
