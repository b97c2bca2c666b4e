// Reading settings from an environment that is handed in; only a program's config.ts knows which ones there are.

export type Environment = Readonly<Record<string, string | undefined>>;

/** A setting that has no default; the error says what it is for. */
export function required(environment: Environment, name: string, what: string): string {
  const value = environment[name];
  if (value === undefined || value === '') throw new Error(`set ${name}: ${what}`);
  return value;
}

/** A whole number above 0. */
export function whole(environment: Environment, name: string, otherwise: number): number {
  const text = environment[name];
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${name} must be a whole number above 0, not ${JSON.stringify(text)}`);
  return value;
}
