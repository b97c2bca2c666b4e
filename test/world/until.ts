import { setTimeout as pause } from 'node:timers/promises';

/** Looks again and again until the condition gives a value; the error names what never came. */
export async function until<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
  what: string,
  limitMs = 30_000,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  let failure: unknown;
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
      failure = undefined;
    } catch (thrown) {
      failure = thrown;
    }
    if (performance.now() > deadline) throw new Error(`waited ${limitMs} ms in vain: ${what}`, { cause: failure });
    await pause(20);
  }
}
