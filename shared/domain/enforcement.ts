/** What is done about a finding: it is reported; it is reported as an event to act on; the process is ended. */
export const enforcementModes = ['observe', 'notify', 'terminate'] as const;
export type EnforcementMode = (typeof enforcementModes)[number];

export interface EnforcementPolicy {
  readonly foreignProcess: EnforcementMode;
  readonly outsideAllocation: EnforcementMode;
  readonly memoryOverShare: EnforcementMode;
  /** How long a finding must last before anything is ended, and then again between SIGTERM and SIGKILL. */
  readonly graceSeconds: number;
}

export type ReadPolicy =
  | { readonly kind: 'policy'; readonly policy: EnforcementPolicy }
  | { readonly kind: 'fault'; readonly text: string };

const findings = {
  'foreign-process': 'foreignProcess',
  'outside-allocation': 'outsideAllocation',
  'memory-over-share': 'memoryOverShare',
} as const;

const graceMaxSeconds = 3600;
const form = `write it as foreign-process=MODE,outside-allocation=MODE,memory-over-share=MODE,grace=SECONDS with MODE one of ${enforcementModes.join(', ')}; what is left out is only observed, and the grace is 30`;

/** `foreign-process=terminate,memory-over-share=notify,grace=60`. A word that is not understood is a fault: nothing is ended for a slip. */
export function parseEnforcementPolicy(text: string): ReadPolicy {
  let policy: EnforcementPolicy = { foreignProcess: 'observe', outsideAllocation: 'observe', memoryOverShare: 'observe', graceSeconds: 30 };
  for (const part of text.split(',').map((word) => word.trim())) {
    const [name = '', value = ''] = part.split('=', 2);
    const mode = enforcementModes.find((one) => one === value);
    if (name === 'grace' && /^\d{1,4}$/.test(value) && Number(value) >= 1 && Number(value) <= graceMaxSeconds)
      policy = { ...policy, graceSeconds: Number(value) };
    else if (Object.hasOwn(findings, name) && mode !== undefined) policy = { ...policy, [findings[name as keyof typeof findings]]: mode };
    else return { kind: 'fault', text: `${JSON.stringify(part)} is no part of an enforcement policy: ${form}` };
  }
  return { kind: 'policy', policy };
}
