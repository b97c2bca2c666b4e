import { createHmac } from 'node:crypto';
import { basename } from 'node:path';

/** Replaces what tells machines and people apart, the same by the same all through, so that what belonged together still does. */
export interface Redaction {
  /** What a command printed. */
  output(args: readonly string[], text: string): string;
  /** What this program wrote itself: findings, steps. */
  text(text: string): string;
}

const uuid = /(?<![0-9a-fA-F])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9a-fA-F])/g;
const zeros = /^[0-]+$/;
/** Numbers that no two boards share, by their names in the three forms of output. */
const secretColumns = /^(serial|gpu_serial|gpu_board_serial|.*chassis_serial_number|.*gpu_fabric_guid|pdi|hostname)$/;
const secretElements = /<(serial|\w*chassis_serial_number|\w*gpu_fabric_guid|pdi|hostname)>([^<]+)</g;
const secretLines = /^\s*(Serial Number|\w*\s*Chassis Serial Number|\w*\s*GPU Fabric GUID|GPU PDI|Hostname)\s*:\s*(\S+)\s*$/gim;
/** Long enough, and with a digit, so that no word of the driver is one. */
const secretValue = /^(?=.*\d)[\w.:-]{5,}$/;

/**
 * @param outputs everything that was recorded: what is secret in one is replaced in all.
 * @param salt random, and kept by nobody: serial numbers are few enough to be tried.
 */
export function createRedaction(facts: {
  readonly outputs: readonly { readonly args: readonly string[]; readonly stdout: string }[];
  readonly hostNames: readonly string[];
  readonly salt: Uint8Array;
}): Redaction {
  const disguise = (value: string): string => disguised(value, createHmac('sha512', facts.salt).update(value.toLowerCase()).digest());
  const secrets = new Set(facts.outputs.flatMap(({ args, stdout }) => secretsIn(args, stdout)));
  const hosts = facts.hostNames.flatMap((name) => [name, name.split('.')[0] ?? name]).filter((name) => name !== '');
  for (const name of hosts) if (secretValue.test(name)) secrets.add(name);
  // Longer ones first: one may be the beginning of another.
  const ordered = [...secrets].sort((a, b) => b.length - a.length || (a < b ? -1 : 1));
  const whole = ordered.length === 0 ? undefined : new RegExp(`(?<!\\w)(?:${ordered.map(escaped).join('|')})(?!\\w)`, 'g');
  const numbers = (text: string): string => {
    const known = whole === undefined ? text : text.replace(whole, disguise);
    return known.replace(uuid, (found) => (zeros.test(found) ? found : disguise(found)));
  };
  const hostWord = hosts.length === 0 ? undefined : new RegExp(`(?<![\\w-])(?:${hosts.map(escaped).join('|')})(?![\\w-])`, 'gi');
  return {
    output: (args, text) => numbers(withoutNames(args, text, disguise)),
    text: (text) => {
      const placed = text.replace(/\/(home|Users)\/[^/\s"']+/g, '/$1/user');
      return numbers(hostWord === undefined ? placed : placed.replace(hostWord, 'node'));
    },
  };
}

function secretsIn(args: readonly string[], stdout: string): readonly string[] {
  const found = [
    ...[...stdout.matchAll(secretElements)].map(([, , value = '']) => value.trim()),
    ...[...stdout.matchAll(secretLines)].map(([, , value = '']) => value),
  ];
  if (args[0]?.startsWith('--query-') === true) {
    const [head, ...rows] = stdout.split('\n').map((line) => line.split(',').map((cell) => cell.trim()));
    (head ?? []).forEach((name, at) => {
      if (secretColumns.test(name)) found.push(...rows.map((row) => row[at] ?? ''));
    });
  }
  return found.filter((value) => secretValue.test(value) && !/^(0x)?[0.:-]+$/.test(value));
}

/**
 * Of a process only what its program is called: a path may name a person, and arguments may hold a password.
 * Of a host name nothing, however short it is.
 */
function withoutNames(args: readonly string[], text: string, disguise: (value: string) => string): string {
  const bare = (name: string): string => basename(name.trim().split(/\s/)[0] ?? '');
  const host = (name: string): string => (/^\[?N\/A\]?$|^$/.test(name) ? name : disguise(name));
  if (args[0]?.startsWith('--query-compute-apps=') === true) return withColumn(text, /^(process_)?name$/, /^(process_)?name$/, bare);
  if (args[0]?.startsWith('--query-gpu=') === true) return withColumn(text, /^hostname$/, /^(gpu_)?name$/, host);
  return text
    .replace(
      /^(\s*<process_name>)(.*)(<\/process_name>\s*)$/gm,
      (_line, open: string, name: string, close: string) => `${open}${bare(name)}${close}`,
    )
    .replace(/(<hostname>)([^<]*)</g, (_found, open: string, name: string) => `${open}${host(name.trim())}<`)
    .replace(/^(\s+Name\s+: )(.*)$/gm, (_line, open: string, name: string) => `${open}${bare(name)}`);
}

/** Changes the cells of one column. A cell of the column `free` may hold commas: those after it are counted from the end of the line. */
function withColumn(text: string, column: RegExp, free: RegExp, change: (cell: string) => string): string {
  const [head = '', ...lines] = text.split('\n');
  const names = head.split(', ');
  const at = names.findIndex((name) => column.test(name));
  if (at === -1) return text;
  const named = names.findIndex((name) => free.test(name));
  const changed = lines.map((line) => {
    const cells = line.split(', ');
    const surplus = cells.length - names.length;
    if (surplus < 0) return line;
    const start = named !== -1 && at > named ? at + surplus : at;
    const end = at === named ? at + surplus + 1 : start + 1;
    return [...cells.slice(0, start), change(cells.slice(start, end).join(', ')), ...cells.slice(end)].join(', ');
  });
  return [head, ...changed].join('\n');
}

/** Of the same length and look: a digit for a digit, a letter for a letter; hexadecimal stays so. */
function disguised(value: string, bytes: Buffer): string {
  const hexadecimal = /^(0x)?[0-9a-f:-]+$/i.test(value);
  return [...value]
    .map((letter, at) => {
      const byte = bytes[at % bytes.length] ?? 0;
      if (at < 2 && /^0x/i.test(value)) return letter;
      if (hexadecimal && value.length > 20 && /[0-9a-f]/i.test(letter)) return cased((byte % 16).toString(16), value);
      if (/\d/.test(letter)) return String(byte % 10);
      if (!/[a-z]/i.test(letter)) return letter;
      const letters = hexadecimal ? 'abcdef' : 'abcdefghijklmnopqrstuvwxyz';
      return cased(letters[byte % letters.length] ?? 'a', letter);
    })
    .join('');
}

function cased(letter: string, like: string): string {
  return /[A-Z]/.test(like) && !/[a-z]/.test(like) ? letter.toUpperCase() : letter;
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
