// Where the state of a locally started cluster is kept, and the names of the files in it.
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/** `--data`, `ASTRAGO_DATA`, `$XDG_STATE_HOME/astrago`, `~/.local/state/astrago`: the first that is given. */
export function dataDirectory(given: string | undefined, environment: Environment): string {
  const named = given ?? (environment['ASTRAGO_DATA'] || undefined);
  if (named !== undefined) return resolve(named);
  const state = environment['XDG_STATE_HOME'] || join(homedir(), '.local', 'state');
  return join(resolve(state), 'astrago');
}

export interface DataFiles {
  /** For programs that look for the cluster; there while one runs. */
  readonly cluster: string;
  /** What the controller says about itself once it is ready. */
  readonly controller: string;
  /** Who supervises this directory: the lock. */
  readonly supervisor: string;
  /** Pids and start times of the processes started here. */
  readonly processes: string;
  /** Which nodes were started here, kept for the next `up`. */
  readonly plan: string;
  readonly logs: string;
  readonly nodes: string;
}

export function dataFiles(directory: string): DataFiles {
  return {
    cluster: join(directory, 'cluster.json'),
    controller: join(directory, 'controller.json'),
    supervisor: join(directory, 'supervisor.json'),
    processes: join(directory, 'processes.json'),
    plan: join(directory, 'up.json'),
    logs: join(directory, 'logs'),
    nodes: join(directory, 'nodes'),
  };
}
