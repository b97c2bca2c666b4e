import { link, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Launched } from '../app/ports.ts';
import { syncDirectory, writeDurably } from '../files/write-durably.ts';

export interface Owner {
  /** 0: nobody, it must never start. */
  readonly pid: number;
  readonly startTime: string;
  readonly bootId: string;
  /** When it was signed. */
  readonly atMs: number;
}

export interface Launch extends Launched {
  readonly bootId: string;
}

/**
 * The directory of one allocation: `launch.json`, what is to be run; `owner`, its one supervisor, made once by a hard
 * link; `output.log`, and in `output.log.start` where it begins; `work`, its own directory; `exit`, the exit code, once the command has ended.
 */
export class AllocationFiles {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  get ownWork(): string {
    return join(this.directory, 'work');
  }

  get output(): string {
    return join(this.directory, 'output.log');
  }

  async writeLaunch(launch: Launch): Promise<void> {
    await writeDurably(join(this.directory, 'launch.json'), JSON.stringify(launch));
    await syncDirectory(dirname(this.directory));
  }

  async readLaunch(): Promise<Launch | undefined> {
    try {
      return JSON.parse(await readFile(join(this.directory, 'launch.json'), 'utf8')) as Launch;
    } catch {
      return undefined;
    }
  }

  async readOwner(): Promise<Owner | undefined> {
    const found = await readSmall(join(this.directory, 'owner'));
    const [pid, startTime, bootId] = found?.text.trim().split(' ') ?? [];
    if (found === undefined || startTime === undefined || bootId === undefined) return undefined;
    return { pid: Number(pid), startTime, bootId, atMs: found.atMs };
  }

  /** Takes the place of a supervisor, unless one was quicker; whose it is now. */
  async signAsNobody(bootId: string): Promise<Owner> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    const draft = join(this.directory, 'owner.nobody');
    await writeFile(draft, `0 0 ${bootId}\n`);
    try {
      await link(draft, join(this.directory, 'owner'));
    } catch (cause) {
      if (!(cause instanceof Error && 'code' in cause && cause.code === 'EEXIST')) throw cause;
    } finally {
      await rm(draft, { force: true });
    }
    const owner = await this.readOwner();
    if (owner === undefined) throw new Error(`the owner of ${this.directory} cannot be read`);
    return owner;
  }

  async readExit(): Promise<{ readonly code: number; readonly atMs: number } | undefined> {
    const found = await readSmall(join(this.directory, 'exit'));
    const code = Number.parseInt(found?.text ?? '', 10);
    return found === undefined || Number.isNaN(code) ? undefined : { code, atMs: found.atMs };
  }
}

async function readSmall(file: string): Promise<{ readonly text: string; readonly atMs: number } | undefined> {
  try {
    const [text, facts] = await Promise.all([readFile(file, 'latin1'), stat(file)]);
    return { text, atMs: Math.round(facts.mtimeMs) };
  } catch {
    return undefined;
  }
}
