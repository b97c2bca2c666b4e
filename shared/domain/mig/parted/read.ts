// From any value, such as a parsed YAML document, to a mig-parted file or everything that is wrong with it.
// The rules are mig-parted's own; where it takes what it would then never match, we say so instead.
import { parseProfileName } from '../profile.ts';
import type { WantedSlice } from '../slice.ts';
import type { PartedCount, PartedEntry, PartedFault, PartedFile, PartedPath } from './config.ts';
import { formatPartedProfile, parsePartedProfile } from './profile.ts';

export type ReadParted =
  | { readonly kind: 'file'; readonly file: PartedFile }
  | { readonly kind: 'faults'; readonly faults: readonly PartedFault[] };

type Report = (path: PartedPath, detail: string) => void;
type Fields = Readonly<Record<string, unknown>>;

export function readParted(value: unknown): ReadParted {
  const faults: PartedFault[] = [];
  const report: Report = (path, detail) => faults.push({ path, detail });
  const configs = readFile(value, report);
  return faults.length > 0 ? { kind: 'faults', faults } : { kind: 'file', file: { configs } };
}

function readFile(value: unknown, report: Report): ReadonlyMap<string, readonly PartedEntry[]> {
  const configs = new Map<string, readonly PartedEntry[]>();
  if (!isFields(value)) {
    report([], "this is no mig-parted configuration: 'version: v1' and 'mig-configs' are expected");
    return configs;
  }
  if (!has(value, 'version')) report([], "'version' is missing; write 'version: v1'");
  else if (value['version'] !== 'v1') report(['version'], `version ${shown(value['version'])} is not known; only v1 is`);
  refuseOthers(value, [], ['version', 'mig-configs'], report);
  if (!has(value, 'mig-configs')) return configs;
  const path = ['mig-configs'];
  const named = value['mig-configs'];
  if (!isFields(named)) report(path, 'must hold configurations by name');
  else if (Object.keys(named).length === 0) report(path, 'at least one configuration is needed');
  else for (const [name, entries] of Object.entries(named)) configs.set(name, readEntries(entries, [...path, name], report));
  return configs;
}

function readEntries(value: unknown, path: PartedPath, report: Report): readonly PartedEntry[] {
  if (!Array.isArray(value)) report(path, "must be a list of entries with 'devices' and 'mig-enabled'");
  else if (value.length === 0) report(path, 'at least one entry is needed');
  else return value.map((entry: unknown, at) => readEntry(entry, [...path, at], report)).filter((entry) => entry !== undefined);
  return [];
}

const entryFields = ['device-filter', 'devices', 'mig-enabled', 'mig-devices', 'mig-placements'];

function readEntry(value: unknown, path: PartedPath, report: Report): PartedEntry | undefined {
  if (!isFields(value)) {
    report(path, "must be an entry with 'devices' and 'mig-enabled'");
    return undefined;
  }
  refuseOthers(value, path, entryFields, report);
  for (const field of ['devices', 'mig-enabled']) if (!has(value, field)) report(path, `'${field}' is missing`);
  const devices = has(value, 'devices') ? readDevices(value['devices'], [...path, 'devices'], report) : 'all';
  const deviceFilter = has(value, 'device-filter') ? readFilter(value['device-filter'], [...path, 'device-filter'], report) : [];
  const migEnabled = value['mig-enabled'];
  if (has(value, 'mig-enabled') && typeof migEnabled !== 'boolean')
    report([...path, 'mig-enabled'], `must be true or false, not ${shown(migEnabled)}`);
  const counts = has(value, 'mig-devices') ? readCounts(value['mig-devices'], [...path, 'mig-devices'], report) : undefined;
  const placements = has(value, 'mig-placements')
    ? readPlacements(value['mig-placements'], [...path, 'mig-placements'], report)
    : undefined;
  if (migEnabled === true && !has(value, 'mig-devices') && placements === undefined)
    report(path, "'mig-devices' is missing, which 'mig-enabled: true' needs; write {} for MIG mode without slices");
  if (migEnabled === false) {
    if (counts !== undefined && counts.length > 0) report([...path, 'mig-devices'], "must be empty where 'mig-enabled' is false");
    if (placements !== undefined && placements.length > 0)
      report([...path, 'mig-placements'], "must be empty where 'mig-enabled' is false");
  }
  if (counts !== undefined && placements !== undefined) compare(counts, placements, [...path, 'mig-placements'], report);
  return { devices, deviceFilter, migEnabled: migEnabled === true, counts: counts ?? [], placements };
}

function readDevices(value: unknown, path: PartedPath, report: Report): 'all' | readonly number[] {
  if (value === 'all') return 'all';
  if (!Array.isArray(value)) {
    report(path, `must be all or a list of GPU indices such as [0, 1], not ${shown(value)}`);
    return [];
  }
  for (const [at, index] of value.entries())
    if (!isWhole(index)) report([...path, at], `${shown(index)} is not the index of a GPU: 0, 1 and so on`);
  return value.filter(isWhole);
}

/** Any text is taken, as by mig-parted; whether it is an id matters once the entry is chosen. */
function readFilter(value: unknown, path: PartedPath, report: Report): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  for (const [at, one] of list.entries())
    if (typeof one !== 'string')
      report(Array.isArray(value) ? [...path, at] : path, `${shown(one)} must be text; put the PCI device id into quotes: "0x233010DE"`);
  return list.filter((one) => typeof one === 'string' && one !== '') as readonly string[];
}

function readCounts(value: unknown, path: PartedPath, report: Report): readonly PartedCount[] | undefined {
  if (!isFields(value)) {
    report(path, 'must hold a count by profile such as {"1g.10gb": 7}, or be {}');
    return undefined;
  }
  const read: PartedCount[] = [];
  for (const [text, count] of Object.entries(value)) {
    const profile = parsePartedProfile(text);
    if (profile === undefined) report([...path, text], `${shown(text)} is not a MIG profile; write it like 3g.40gb or 1g.10gb+me`);
    else if (!isWhole(count)) report([...path, text], `the count must be a whole number from 0 on, not ${shown(count)}`);
    else if (read.some((other) => formatPartedProfile(other.profile) === formatPartedProfile(profile)))
      report([...path, text], `${formatPartedProfile(profile)} is counted twice`);
    else read.push({ profile, count });
  }
  if (read.length > 0 && read.every(({ count }) => count === 0)) report(path, 'all counts are 0; write {} for MIG mode without slices');
  return read.filter(({ count }) => count > 0);
}

function readPlacements(value: unknown, path: PartedPath, report: Report): readonly WantedSlice[] {
  if (!Array.isArray(value)) {
    report(path, 'must be a list such as [{profile: 3g.40gb, start: 4}]');
    return [];
  }
  return value.flatMap((one: unknown, at): readonly WantedSlice[] => {
    const here = [...path, at];
    if (!isFields(one)) {
      report(here, 'must be a profile with its start: {profile: 3g.40gb, start: 4}');
      return [];
    }
    refuseOthers(one, here, ['profile', 'start'], report);
    const { profile, start } = one;
    const name = typeof profile === 'string' ? parseProfileName(profile) : undefined;
    if (name === undefined) report([...here, 'profile'], `${shown(profile)} is not the profile of a slice; write it like 3g.40gb`);
    if (!isWhole(start)) report([...here, 'start'], `the start must be a whole number from 0 on, not ${shown(start)}`);
    return name === undefined || !isWhole(start) ? [] : [{ profile: name, start }];
  });
}

function compare(counts: readonly PartedCount[], placements: readonly WantedSlice[], path: PartedPath, report: Report): void {
  const placed = Map.groupBy(placements, (slice): string => slice.profile);
  const counted = new Map(counts.map(({ profile, count }) => [formatPartedProfile(profile), count]));
  for (const name of new Set([...counted.keys(), ...placed.keys()])) {
    const [asked, given] = [counted.get(name) ?? 0, placed.get(name)?.length ?? 0];
    if (asked !== given) report(path, `${given} of ${name} are placed, and 'mig-devices' has ${asked}; make them agree or leave one out`);
  }
}

function refuseOthers(fields: Fields, path: PartedPath, known: readonly string[], report: Report): void {
  for (const field of Object.keys(fields))
    if (!known.includes(field)) report([...path, field], `unexpected field; known here: ${known.join(', ')}`);
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Not what a prototype brings along. */
function has(fields: Fields, name: string): boolean {
  return Object.hasOwn(fields, name);
}

function isWhole(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
