// Exits with 0 when node_modules holds what package-lock.json names, whoever installed it.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Entry {
  readonly version?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly optional?: boolean;
}
type Packages = Readonly<Record<string, Entry>>;

const root = join(import.meta.dirname, '..');

function packagesOf(lockFile: string): Packages {
  return (JSON.parse(readFileSync(join(root, lockFile), 'utf8')) as { readonly packages: Packages }).packages;
}

const same = (one: Entry, other: Entry): boolean =>
  one.version === other.version && one.integrity === other.integrity && one.link === other.link;

// npm writes the second file after each installation.
const wanted = packagesOf('package-lock.json');
const there = packagesOf('node_modules/.package-lock.json');
const inModules = (path: string): boolean => path.includes('node_modules/');
const missing = Object.entries(wanted).filter(([path, entry]) => {
  const found = there[path];
  if (!inModules(path) || (found === undefined && entry.optional === true)) return false;
  return found === undefined || !same(found, entry) || !existsSync(join(root, path));
});
const extra = Object.keys(there).filter((path) => inModules(path) && wanted[path] === undefined);
process.exitCode = missing.length + extra.length === 0 ? 0 : 1;
