import { fileURLToPath } from 'node:url';
import type { Programs } from '../up/programs.ts';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

export const stubPrograms: Programs = {
  controller: here('./stub-controller.ts'),
  agent: here('./stub-agent.ts'),
  createMachine: here('./stub-create-machine.ts'),
};
