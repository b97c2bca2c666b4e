import { crc32 } from 'node:zlib';

const seal = /,"sum":"([0-9a-f]{8})"\}$/;

/** JSON of an object whose last member is the checksum of the rest, so that damage is told from a change of mind. */
export function sealed(record: object): string {
  const text = JSON.stringify({ ...record, sum: undefined });
  const body = text === '{}' ? '{"empty":true}' : text;
  return `${body.slice(0, -1)},"sum":"${sumOf(body)}"}`;
}

/** The record without its checksum; `undefined` for anything but what {@link sealed} wrote. */
export function unsealed(text: string): Readonly<Record<string, unknown>> | undefined {
  const found = seal.exec(text);
  if (found === null) return undefined;
  const body = `${text.slice(0, found.index)}}`;
  if (sumOf(body) !== found[1]) return undefined;
  try {
    return JSON.parse(body) as Readonly<Record<string, unknown>>;
  } catch {
    // A checksum of 32 bits may fit by chance.
    return undefined;
  }
}

function sumOf(text: string): string {
  return crc32(text).toString(16).padStart(8, '0');
}
