import { chmod, lstat, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CudaDevice, MpsFault } from '../app/mps-control.ts';
import { shortName } from './mps-directory.ts';

/**
 * The directories below the root of one agent: for each device `<8 hex>`, in which its daemon has its socket and its
 * pid, with a file `device` of ours that says whose it is, and `logs` below it.
 */
export class DeviceDirectories {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  of(device: CudaDevice): string {
    return join(this.#root, shortName(device));
  }

  logsOf(device: CudaDevice): string {
    return join(this.of(device), 'logs');
  }

  /** Devices that have one; none when there is no root yet, or it cannot be read. */
  async devices(): Promise<readonly CudaDevice[]> {
    const names = await readdir(this.#root).catch(() => []);
    const found = await Promise.all(
      names.filter((name) => /^[0-9a-f]{8}$/.test(name)).map((name) => readFile(join(this.#root, name, 'device'), 'utf8').catch(() => '')),
    );
    return found.map((text) => text.trim()).filter((device) => device !== '');
  }

  async exists(device: CudaDevice): Promise<boolean> {
    return (await lstat(this.of(device)).catch(() => undefined)) !== undefined;
  }

  /** Others may pass through the root and connect below it; only this user may change anything there. */
  async make(device: CudaDevice): Promise<void> {
    try {
      await mkdir(this.#root, { recursive: true, mode: 0o711 });
      await this.#mustBeOurs();
      await chmod(this.#root, 0o711);
      for (const directory of [this.of(device), this.logsOf(device)]) {
        await mkdir(directory, { recursive: true });
        await chmod(directory, 0o755);
      }
      await writeFile(join(this.of(device), 'device'), `${device}\n`);
    } catch (cause) {
      if (cause instanceof MpsFault) throw cause;
      throw new MpsFault('failed', '-d', `its directory cannot be made: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
    }
  }

  async remove(device: CudaDevice): Promise<void> {
    await rm(this.of(device), { recursive: true, force: true, maxRetries: 3 });
  }

  /** The last words of the daemon's own log; for a person. */
  async lastWords(device: CudaDevice): Promise<string> {
    const text = await readFile(join(this.logsOf(device), 'control.log'), 'utf8').catch(() => '');
    return text.trim().split('\n').at(-1)?.slice(0, 300) ?? '';
  }

  /** A root below a directory where anybody may write could have been made by somebody else. */
  async #mustBeOurs(): Promise<void> {
    const found = await lstat(this.#root);
    if (found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0) return;
    throw new MpsFault('failed', '-d', `${this.#root} is not a directory of this user alone; remove it or set ASTRAGO_MPS_DIRECTORY`);
  }
}
