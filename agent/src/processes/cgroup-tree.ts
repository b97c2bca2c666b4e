import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ResourceLimits } from '#core/order';

const cpuPeriodMicroseconds = 100_000;

/** The files of one limit: which controller has it, and what is written. */
function limitFiles({
  cpuMilli,
  memoryMiB,
  processes,
}: ResourceLimits): readonly { readonly controller: string; readonly file: string; readonly text: string }[] {
  return [
    ...(cpuMilli === undefined
      ? []
      : [
          {
            controller: 'cpu',
            file: 'cpu.max',
            text: `${Math.max(1000, (cpuMilli * cpuPeriodMicroseconds) / 1000)} ${cpuPeriodMicroseconds}`,
          },
        ]),
    ...(memoryMiB === undefined ? [] : [{ controller: 'memory', file: 'memory.max', text: String(memoryMiB * 2 ** 20) }]),
    ...(processes === undefined ? [] : [{ controller: 'pids', file: 'pids.max', text: String(processes) }]),
  ];
}

/**
 * A directory of control groups (version 2) that was given to the agent, and in it one group for each allocation. A
 * group holds its limits for all processes of the allocation together, knows every one of them however it hid, and
 * ends them in one go. Supervisors stay outside, so that no limit ends the one who tells how the work ended.
 *
 * The directory has to be the agent's alone, with no process in it: what the manager of the machine's groups calls
 * delegated. It is therefore named in the configuration and not guessed.
 */
export class CgroupTree {
  readonly directory: string;
  /** Of `cpu`, `memory` and `pids` those that can be limited here. */
  readonly controllers: ReadonlySet<string>;

  private constructor(directory: string, controllers: ReadonlySet<string>) {
    this.directory = directory;
    this.controllers = controllers;
  }

  /** @throws Error when the directory is no control group of version 2, or not ours to change. */
  static async open(directory: string): Promise<CgroupTree> {
    const offered = await readFile(join(directory, 'cgroup.controllers'), 'latin1').catch((cause: unknown) => {
      throw new Error(
        `${directory} is not a control group of version 2; name one that was delegated to the agent in ASTRAGO_CGROUP, or none`,
        { cause },
      );
    });
    const controllers = ['cpu', 'memory', 'pids'].filter((name) => offered.split(/\s+/).includes(name));
    if (controllers.length > 0) {
      const wanted = controllers.map((name) => `+${name}`).join(' ');
      await writeFile(join(directory, 'cgroup.subtree_control'), wanted).catch((cause: unknown) => {
        throw new Error(`the control group ${directory} cannot be divided: it must be the agent's to change, and hold no process itself`, {
          cause,
        });
      });
    }
    return new CgroupTree(directory, new Set(controllers));
  }

  /** Why these limits cannot be kept here; `undefined` when they can. */
  obstacle(limits: ResourceLimits): string | undefined {
    const missing = limitFiles(limits).find(({ controller }) => !this.controllers.has(controller));
    return missing === undefined ? undefined : `the control group ${this.directory} has no ${missing.controller} controller`;
  }

  /** Makes the group of an allocation, or sets the limits of the one there is; the file by which a process joins it. */
  async prepare(allocation: string, limits: ResourceLimits): Promise<string> {
    const group = this.#group(allocation);
    await mkdir(group, { recursive: true });
    for (const { file, text } of limitFiles(limits)) await writeFile(join(group, file), text);
    return join(group, 'cgroup.procs');
  }

  /** Every process of the allocation, groups that it made within its own included; none where it has no group. */
  members(allocation: string): Promise<readonly number[]> {
    return membersBelow(this.#group(allocation));
  }

  /** Ends every process of the allocation, those that are just being made included; `false` where the kernel cannot (before 5.14). */
  async kill(allocation: string): Promise<boolean> {
    return writeFile(join(this.#group(allocation), 'cgroup.kill'), '1', { flag: 'r+' }).then(
      () => true,
      () => false,
    );
  }

  /** Removes an empty group; one that is not stays, and is tried again by whoever forgets the allocation next. */
  remove(allocation: string): Promise<void> {
    return removeBelow(this.#group(allocation));
  }

  #group(allocation: string): string {
    return join(this.directory, allocation);
  }
}

async function groupsIn(group: string): Promise<readonly string[]> {
  const entries = await readdir(group, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(group, entry.name));
}

async function membersBelow(group: string): Promise<readonly number[]> {
  const own = await readFile(join(group, 'cgroup.procs'), 'latin1').catch(() => '');
  const below = await Promise.all((await groupsIn(group)).map(membersBelow));
  // A process of another pid namespace is printed as 0.
  return [
    ...own
      .split('\n')
      .map(Number)
      .filter((pid) => pid > 0),
    ...below.flat(),
  ];
}

async function removeBelow(group: string): Promise<void> {
  for (const below of await groupsIn(group)) await removeBelow(below);
  await rmdir(group).catch(() => undefined);
}
