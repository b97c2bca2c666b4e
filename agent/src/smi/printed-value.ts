// Single values as nvidia-smi prints them, with or without a unit. `[N/A]`, `N/A`, `[Not Supported]`, `[Unknown Error]`,
// an empty cell and whatever a later driver invents all mean "not measured", so the grammar of a good value decides.

const number = /^(-?\d{1,15}(?:\.\d{1,9})?)(?: ?(?:%|MiB|W|C|MHz|us))?$/;
const whole = /^\d{1,10}$/;
const notOffered = /^\[?(?:N\/A|Not Supported)\]?$/i;

/** A number with an optional unit, or absent. */
export function printedNumber(text: string): number | undefined {
  const digits = number.exec(text.trim())?.[1];
  // Minus nothing is nothing.
  return digits === undefined ? undefined : Number(digits) + 0;
}

/** As {@link printedNumber}, and absent below zero. */
export function printedAmount(text: string): number | undefined {
  const value = printedNumber(text);
  return value === undefined || value < 0 ? undefined : value;
}

/** An id, index or pid. */
export function printedId(text: string): number | undefined {
  const trimmed = text.trim();
  return whole.test(trimmed) ? Number(trimmed) : undefined;
}

/** The printed word, or absent for an empty cell and the bracketed excuses. */
export function printedWord(text: string): string | undefined {
  const trimmed = text.trim();
  return trimmed === '' || trimmed.startsWith('[') || notOffered.test(trimmed) ? undefined : trimmed;
}

/** `610.57` says `[Deprecated; ...]` behind it. */
export function printedDriverVersion(text: string): string | undefined {
  return /^(\d{2,4}(?:\.\d{1,5}){1,3})(?:\s|$)/.exec(text.trim())?.[1];
}

/** `unknown` is neither a mode nor the device's word that it has none. */
export type PrintedMode = 'enabled' | 'disabled' | 'not-offered' | 'unknown';

export function printedMode(text: string): PrintedMode {
  const trimmed = text.trim();
  if (trimmed === 'Enabled') return 'enabled';
  if (trimmed === 'Disabled') return 'disabled';
  return notOffered.test(trimmed) ? 'not-offered' : 'unknown';
}
