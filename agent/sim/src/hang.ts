/** As a call stuck in the driver: nothing but SIGKILL ends it. */
export function hang(): Promise<never> {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
  setInterval(() => undefined, 2 ** 30);
  return new Promise(() => undefined);
}
