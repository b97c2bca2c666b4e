// Commander's argument parsers: a value of the right type, or a usage error that shows how to write it.
import { InvalidArgumentError } from 'commander';
import { parseCpus } from './cpus.ts';
import { parseMemory } from './memory.ts';

export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^-?\d+$/.test(text) || value < min || value > max) throw new InvalidArgumentError(`Give a whole number from ${min} to ${max}.`);
    return value;
  };
}

export function positiveNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('Give a number above 0.');
  return value;
}

export const memoryMiB = understood(parseMemory, 'Give a size with its unit, for example 16Gi or 512Mi.');

export const cpuMilli = understood(parseCpus, 'Give CPUs, for example 4, 0.5 or 1500m.');

/** For a repeated option: `--env K=V --env L=W`. */
export function environmentVariable(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const match = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s.exec(text);
  if (match === null) throw new InvalidArgumentError('Give NAME=VALUE.');
  return { ...before, [match[1] as string]: match[2] as string };
}

/** Makes an argument parser of one that says `undefined` for what it does not understand. */
export function understood<T>(parse: (text: string) => T | undefined, hint: string): (text: string) => T {
  return (text) => {
    const value = parse(text);
    if (value === undefined) throw new InvalidArgumentError(hint);
    return value;
  };
}

/** The same for a repeated option, whose values are gathered. */
export function gathered<T>(parse: (text: string) => T | undefined, hint: string): (text: string, before?: readonly T[]) => readonly T[] {
  const one = understood(parse, hint);
  return (text, before = []) => [...before, one(text)];
}
