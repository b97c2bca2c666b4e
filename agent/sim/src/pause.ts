const cell = new Int32Array(new SharedArrayBuffer(4));

/** Stops the whole process for a while; signals still end it. */
export function pause(ms: number): void {
  if (ms > 0) Atomics.wait(cell, 0, 0, ms);
}
