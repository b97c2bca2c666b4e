import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MachineState } from './machine-state.ts';

/** Readers take no lock: the file is only ever replaced whole. */
export function readState(directory: string): MachineState {
  return JSON.parse(readFileSync(join(directory, 'state.json'), 'utf8')) as MachineState;
}

/** Only for the holder of the machine's lock: the temporary name is fixed, so a killed writer leaves no litter. */
export function writeState(directory: string, state: MachineState): void {
  const temporary = join(directory, 'state.json.tmp');
  writeFileSync(temporary, `${JSON.stringify(state, null, 1)}\n`);
  renameSync(temporary, join(directory, 'state.json'));
}
