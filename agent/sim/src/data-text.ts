import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from './machine.ts';

const texts = new Map<string, string>();
const tables = new Map<string, unknown>();

/** A file of `data/`; read once, as a loop asks for it every round. */
export function dataText(machine: Machine, file: string): string {
  const known = texts.get(file) ?? readFileSync(join(machine.dataDirectory, file), 'utf8');
  texts.set(file, known);
  return known;
}

export function dataTable(machine: Machine, file: string): unknown {
  if (!tables.has(file)) tables.set(file, JSON.parse(dataText(machine, file)));
  return tables.get(file);
}
