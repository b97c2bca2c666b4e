// Which programs a local cluster is made of. A port, so that a test can put small stand-ins in their places.
import { fileURLToPath } from 'node:url';

export interface Programs {
  /** Script of the controller; run with this very Node. */
  readonly controller: string;
  readonly agent: string;
  /** Makes the directory of a simulated machine. */
  readonly createMachine: string;
}

const fromRoot = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

export const ourPrograms: Programs = {
  controller: fromRoot('controller/src/main.ts'),
  agent: fromRoot('agent/src/main.ts'),
  createMachine: fromRoot('agent/sim/src/create-main.ts'),
};
