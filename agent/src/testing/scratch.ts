import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readAllProcs, readEnvironmentValue } from '../processes/proc.ts';

/** A directory of a test's own. What still carries one of its allocation ids is killed with it. */
export class Scratch implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'astrago-agent-'));
  readonly #allocations: string[] = [];

  /** An id that no other test run uses. */
  allocation(): string {
    const id = `alloc_${process.pid.toString(36)}${Math.random().toString(36).slice(2, 10)}`.padEnd(16, '0');
    this.#allocations.push(id);
    return id;
  }

  path(...names: readonly string[]): string {
    return join(this.directory, ...names);
  }

  /** As a power cut does: what still carries one of its ids is killed. */
  async endAllocations(): Promise<void> {
    for (const { pid } of readAllProcs()) {
      const tag = await readEnvironmentValue(pid, 'ASTRAGO_ALLOCATION_ID');
      if (tag === undefined || !this.#allocations.includes(tag)) continue;
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone meanwhile.
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.endAllocations();
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}
