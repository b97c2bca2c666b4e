/** How much it matters: `info` is for the record, `warning` is for office hours, `critical` keeps new work away or pages. */
export type Severity = 'info' | 'warning' | 'critical';

/** What brings the GPU or node back. `drain` is to let what runs end, and then to look again. */
export type RecoveryAction = 'none' | 'drain' | 'reset' | 'reboot';

interface KindFacts {
  readonly text: string;
  readonly severity: Severity;
  readonly action: RecoveryAction;
  /** A GPU with it takes no new work; a node with it takes none on any of its GPUs. */
  readonly keepsWorkAway: boolean;
}

function kind(severity: Severity, action: RecoveryAction, work: 'stays away' | 'may come', text: string): KindFacts {
  return { text, severity, action, keepsWorkAway: work === 'stays away' };
}

/**
 * Findings about a GPU or node. The list is closed; a finding without a kind of its own is a bug.
 *
 * Sources of what is said about devices: NVIDIA's Xid catalog (docs.nvidia.com/deploy/xid-errors), its guide to memory
 * errors of A100 and later (docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt), its guide to page retirement
 * (docs.nvidia.com/deploy/dynamic-page-retirement), and the help of `nvidia-smi --help-query-gpu`.
 */
export const conditionKinds = {
  // The driver and its listing.
  'driver-unavailable': kind('critical', 'none', 'stays away', 'nvidia-smi does not answer; nothing new is placed here'),
  'driver-hung': kind('critical', 'reboot', 'stays away', 'an nvidia-smi command does not end; the GPU is left alone until it does'),
  'gpu-lost': kind('critical', 'reboot', 'stays away', 'the GPU is no longer listed by the driver'),
  'listing-unreadable': kind('critical', 'none', 'stays away', 'the driver printed something that is not understood'),
  'telemetry-stale': kind('warning', 'none', 'may come', 'no reading has come for more than three periods'),
  // Layouts.
  'gpu-in-use': kind('warning', 'drain', 'stays away', 'a process that no allocation explains holds the GPU or a slice'),
  'mode-change-pending': kind('warning', 'reset', 'stays away', 'the MIG mode takes effect at the next GPU reset'),
  'layout-failed': kind('critical', 'none', 'stays away', 'the wanted layout could not be made'),
  'layout-drifted': kind('warning', 'none', 'may come', 'the live slices differ from what was ordered'),
  'other-mig-manager': kind(
    'warning',
    'none',
    'may come',
    'another program manages MIG on this node, so layouts are observed and not changed',
  ),
  // Health of the device. What the driver asks for by itself (`recovery-`) outranks what is read out of an Xid.
  'xid-application': kind('info', 'none', 'may come', 'a program made an error on the GPU; the device is fine'),
  'xid-warning': kind('warning', 'drain', 'may come', 'the driver logged an error that the device itself survives'),
  'xid-needs-reset': kind('critical', 'reset', 'stays away', 'the driver logged an error after which the GPU needs a reset'),
  'xid-needs-reboot': kind('critical', 'reboot', 'stays away', 'the driver logged an error after which the node needs a reboot'),
  // Traffic between GPUs is to come to rest; what runs may end in peace.
  'recovery-drain': kind('warning', 'drain', 'stays away', 'the driver asks to drain the GPU'),
  'recovery-reset': kind('critical', 'reset', 'stays away', 'the driver asks to reset the GPU'),
  'recovery-reboot': kind('critical', 'reboot', 'stays away', 'the driver asks to reboot the node'),
  'ecc-uncorrectable': kind(
    'critical',
    'reset',
    'stays away',
    'memory errors that could not be corrected were counted since the driver was loaded',
  ),
  // A100 and later contain most such errors: only the program that met one ends, and new work may start.
  'ecc-contained': kind(
    'warning',
    'reset',
    'may come',
    'memory errors that could not be corrected were counted and contained; the driver asks for nothing',
  ),
  // Boards with these two are replaced by their maker; until then a reset does not help.
  'ecc-threshold-exceeded': kind('critical', 'drain', 'stays away', 'the on-chip memory has had more errors than its maker allows'),
  'row-remap-failure': kind('critical', 'drain', 'stays away', 'a bad memory row could not be replaced; the board is to be replaced'),
  // Other rows and pages work on meanwhile, so work may come until a quiet moment for the reset.
  'row-remap-pending': kind('warning', 'reset', 'may come', 'a bad memory row is replaced at the next reset'),
  'retired-pages-pending': kind('warning', 'reset', 'may come', 'a bad memory page is retired at the next reset'),
  'thermal-slowdown': kind('warning', 'none', 'may come', 'the clocks are held down because the GPU is too hot'),
  'power-brake': kind('warning', 'none', 'may come', 'the clocks are held down by the power supply of the machine'),
  'pcie-degraded': kind('warning', 'drain', 'may come', 'the PCIe link is narrower than the slot and the GPU allow'),
  'fabric-degraded': kind('critical', 'drain', 'stays away', 'the NVLink fabric of the GPU is not complete'),
  // Sharing.
  'mps-failed': kind('critical', 'none', 'stays away', 'the MPS control daemon of a device does not stay up'),
  'mps-fault': kind('warning', 'drain', 'stays away', 'an MPS server has met a fatal fault; its clients end before it starts anew'),
  // Enforcement.
  'foreign-process': kind('warning', 'none', 'may come', 'a process that no allocation explains uses the GPU'),
  'outside-allocation': kind('warning', 'none', 'may come', 'a workload uses a device that it was not given'),
  'memory-over-share': kind('warning', 'none', 'may come', 'a workload holds more memory than its share'),
  // The node and the agent itself.
  'disk-full': kind('critical', 'none', 'stays away', 'the agent cannot write its ledger; it keeps the last state'),
  'ledger-set-aside': kind(
    'warning',
    'none',
    'may come',
    'the ledger was damaged and set aside; the node is known only by observation until the next order',
  ),
} as const satisfies Readonly<Record<string, KindFacts>>;

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

/** The driver does not reach the GPU, or may not have let go of it: nothing may be changed on it, by nobody's order. */
export function forbidsChange(kind: ConditionKind): boolean {
  return kind === 'gpu-lost' || kind === 'driver-hung';
}

/** What a person is to do, as half a sentence. */
export const actionTexts = {
  none: 'see its detail',
  drain: 'drain it and look again',
  reset: 'reset it',
  reboot: 'reboot the node',
} as const satisfies Readonly<Record<RecoveryAction, string>>;

/** A GPU or node with one of these takes no new work. */
export function keepsWorkAway(kind: ConditionKind): boolean {
  return conditionKinds[kind].keepsWorkAway;
}
