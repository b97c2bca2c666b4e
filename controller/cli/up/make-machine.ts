import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { exitCodes } from '../exit-codes.ts';
import { CommandFailure } from '../failure.ts';
import { inherited, nodeHome } from './child-environment.ts';
import type { NodePlan } from './cluster-plan.ts';
import { logTail } from './log-tail.ts';
import type { Programs } from './programs.ts';

export interface MakeMachineDeps {
  readonly directory: string;
  readonly programs: Programs;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logFile: string;
}

/** Makes the simulated machine of a node, once: its state is the node's hardware and stays as it is. A real node needs none. */
export async function makeMachine(node: NodePlan, deps: MakeMachineDeps): Promise<void> {
  const home = nodeHome(deps.directory, node);
  await mkdir(home, { recursive: true, mode: 0o700 });
  const machine = join(home, 'machine');
  if (node.kind === 'real' || existsSync(join(machine, 'bin', 'nvidia-smi'))) return;

  const words = ['--directory', machine, '--model', node.model, '--gpus', String(node.gpus), '--seed', `${machine}#${node.seed}`];
  const log = openSync(deps.logFile, 'a', 0o600);
  const code = await new Promise<number | null>((resolve, reject) => {
    const child = spawn(process.execPath, [deps.programs.createMachine, ...words], {
      env: inherited(deps.directory, deps.environment),
      stdio: ['ignore', log, log],
    });
    child.once('error', reject);
    child.once('exit', resolve);
  }).finally(() => closeSync(log));
  if (code === 0) return;
  throw new CommandFailure({
    code: 'cannot-simulate',
    exitCode: exitCodes.failed,
    what: `The simulated machine of ${node.name} (${node.gpus} x ${node.model}) could not be made. It wrote last:\n${await logTail(deps.logFile)}\n`,
    remedy: 'Choose a model that the simulator knows with --model.',
  });
}
