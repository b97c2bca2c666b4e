/** Findings about a GPU or node. The list is closed; a finding without a kind of its own is a bug. */
export const conditionKinds = {
  'driver-unavailable': 'nvidia-smi does not answer; nothing new is placed here',
  'driver-hung': 'an nvidia-smi command does not end; the GPU is left alone until it does',
  'gpu-lost': 'the GPU is no longer listed by the driver',
  'gpu-in-use': 'a process that no allocation explains holds the GPU or a slice',
  'mode-change-pending': 'the MIG mode takes effect at the next GPU reset',
  'layout-failed': 'the wanted layout could not be made',
  'layout-drifted': 'the live slices differ from what was ordered',
  'listing-unreadable': 'the driver printed something that is not understood',
} as const;

export type ConditionKind = keyof typeof conditionKinds;

export interface Condition {
  readonly kind: ConditionKind;
  readonly detail: string;
  /** Wall clock, ms since the epoch. */
  readonly sinceMs: number;
}

export function parseConditionKind(text: string): ConditionKind | undefined {
  return Object.hasOwn(conditionKinds, text) ? (text as ConditionKind) : undefined;
}

/** A GPU with one of these takes no new work. */
export function keepsWorkAway(kind: ConditionKind): boolean {
  return kind !== 'layout-drifted';
}
