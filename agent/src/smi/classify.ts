import type { DriverFaultCode } from '../app/ports.ts';

/** What one ended command came to. `pending` is a MIG mode change that waits for a reset. */
export type Verdict = { readonly kind: 'fine' } | { readonly kind: 'pending' } | { readonly kind: 'fault'; readonly code: DriverFaultCode };

/** First match wins, so the broken machine comes before the refused wish. */
const byText: readonly (readonly [RegExp, DriverFaultCode])[] = [
  [
    /couldn't communicate with the NVIDIA driver|couldn't find libnvidia-ml|Driver\/library version mismatch|NVIDIA driver is not loaded|Driver Not Loaded|command not found/i,
    'driver-unavailable',
  ],
  [/Insufficient Permissions|Permission denied/i, 'no-permission'],
  [/Failed to initialize NVML/i, 'driver-unavailable'],
  [/GPU is lost|fallen off the bus|Unable to determine the device handle|No devices were found/i, 'gpu-lost'],
  [/requires? (?:a )?reset|reset required/i, 'needs-reset'],
  [/In use by another client|used by (?:one or more )?(?:an)?other process|is currently in use/i, 'gpu-in-use'],
  [/Insufficient Resources/i, 'insufficient-resources'],
  [
    /using profile .*(?:Invalid Argument|Not Supported|Not Found)|invalid profile|unknown profile|profile .* not (?:found|supported)/i,
    'unknown-profile',
  ],
  [/Not Found|No MIG-(?:enabled|supported) devices found|No (?:GPU|compute) instances found/i, 'not-found'],
];

/** Only asked when the text says nothing: exit codes differ by driver and most refusals have no code of their own. */
const byExitCode: Readonly<Record<number, DriverFaultCode>> = {
  4: 'no-permission',
  6: 'not-found',
  9: 'driver-unavailable',
  12: 'driver-unavailable',
  15: 'gpu-lost',
  16: 'needs-reset',
  18: 'driver-unavailable',
  19: 'gpu-in-use',
  23: 'insufficient-resources',
};

const refusal = /^(?:Unable to |Failed to |Terminating early)|could not be reset|^(?:Resetting|Setting|Changing) .*not supported/im;

/** `exitCode` is absent when a signal ended the command. `text` holds both streams, since errors appear on either. */
export function classify(exitCode: number | undefined, text: string): Verdict {
  if (exitCode === 0) {
    if (/pending (?:enable|disable) state/i.test(text)) return { kind: 'pending' };
    return refusal.test(text) ? { kind: 'fault', code: codeOf(exitCode, text) } : { kind: 'fine' };
  }
  return { kind: 'fault', code: codeOf(exitCode, text) };
}

/** The code of a text that is known to tell of a failure. */
export function codeOf(exitCode: number | undefined, text: string): DriverFaultCode {
  for (const [pattern, code] of byText) if (pattern.test(text)) return code;
  return (exitCode === undefined ? undefined : byExitCode[exitCode]) ?? 'failed';
}
