// Small JSON files that other processes read at any moment: written whole or not at all.
import { readFile, rename, writeFile } from 'node:fs/promises';

/** `undefined` when the file is absent or is not JSON; whoever reads checks the shape. */
export async function readJsonFile(file: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(file, 'utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch (failure) {
    if (failure instanceof SyntaxError || isMissing(failure)) return undefined;
    throw failure;
  }
}

export async function writeJsonFile(file: string, value: unknown): Promise<void> {
  const whole = `${file}.${process.pid}.new`;
  await writeFile(whole, `${JSON.stringify(value, undefined, 2)}\n`, { mode: 0o600 });
  await rename(whole, file);
}

export function isMissing(failure: unknown): boolean {
  return failure instanceof Error && 'code' in failure && (failure.code === 'ENOENT' || failure.code === 'ENOTDIR');
}
