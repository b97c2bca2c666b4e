// After a supervisor that was killed, and at the end of one that was not: nothing of a data directory may be left running.

import { rm } from 'node:fs/promises';
import type { Clock } from '@astrago/shared/runtime/clock';
import { dataFiles } from '../locate/data-directory.ts';
import { plural } from '../show/quantity.ts';
import { endProcesses } from './end-processes.ts';
import { daemonsOf, everythingOf } from './proc-scan.ts';
import { readProcessBook } from './process-book.ts';
import type { Programs } from './programs.ts';

/** Ends controller and agents of an earlier supervisor; workloads run on and are taken over by the next agents. */
export async function endStaleDaemons(directory: string, deps: { readonly programs: Programs; readonly clock: Clock }): Promise<number> {
  const files = dataFiles(directory);
  const booked = await readProcessBook(files.processes);
  const found = new Map([...booked, ...daemonsOf(directory, deps.programs)].map((one) => [one.pid, one]));
  // Agents first: one that loses its controller a moment before its own end would only complain.
  const controllers = new Set(booked.filter((one) => one.name === 'controller').map((one) => one.pid));
  await endProcesses(
    [...found.values()].filter((one) => !controllers.has(one.pid)),
    { clock: deps.clock, graceMs: 5000 },
  );
  await endProcesses(
    [...found.values()].filter((one) => controllers.has(one.pid)),
    { clock: deps.clock, graceMs: 5000 },
  );
  await rm(files.processes, { force: true });
  return found.size;
}

/** Ends whatever still runs because of this directory, workloads included. */
export async function endLeftovers(directory: string, deps: { readonly clock: Clock; tell(text: string): void }): Promise<void> {
  // More than once: something may start another thing while it is being looked for.
  for (let round = 0; round < 3; round += 1) {
    const left = everythingOf(directory);
    if (left.length === 0) return;
    const killed = await endProcesses(left, { clock: deps.clock, graceMs: 2000 });
    deps.tell(`Ended ${plural(left.length, 'process', 'processes')} that were left${killed === 0 ? '' : `, ${killed} of them by force`}.`);
  }
}
