// What one sample says of each cause. Pure readings; when they are believed is the matter of `hysteresis.ts`.
import type { ConditionKind } from '@astrago/shared/domain/condition';
import type { GpuMeasure, GpuSample } from '../telemetry/sample.ts';
import type { CountedTimes } from './counted-time.ts';
import type { Patience, Verdict } from './hysteresis.ts';
import type { RecoveryWord } from './recovery.ts';

export type Measured = Pick<GpuSample, 'atMs' | 'values' | 'words'>;

export interface Look {
  readonly verdict: Verdict;
  /** For people; only used where the verdict is `present`. */
  readonly detail: string;
}

/** What is known beside the sample itself. */
export interface Around {
  /** Of the counts in {@link timesCounted}. */
  readonly counted: CountedTimes;
  /** Most lanes that this GPU was ever seen with. */
  readonly widestLink: number;
  /** What the driver asks for, by the sample or by its log. */
  readonly recovery: RecoveryWord | undefined;
}

export interface SampleRule {
  readonly id: string;
  readonly kind: ConditionKind;
  readonly patience: Patience;
  readonly look: (sample: Measured, around: Around) => Look;
}

/** The driver keeps these until a reset: one look is proof, and a moment of doubt before they are forgotten. */
const told: Patience = { raiseAfterMs: 0, raiseAfterLooks: 1, clearAfterMs: 30_000 };
/** Clocks are held down for a moment under any full load; only what lasts says something of the cooling or the supply. */
const slowed: Patience = { raiseAfterMs: 30_000, raiseAfterLooks: 3, clearAfterMs: 120_000 };
/** A link is retrained now and then. */
const link: Patience = { raiseAfterMs: 60_000, raiseAfterLooks: 3, clearAfterMs: 60_000 };
/** A fabric may take minutes to come up after a boot. */
const fabricStart: Patience = { raiseAfterMs: 300_000, raiseAfterLooks: 3, clearAfterMs: 30_000 };

/** P8 and above are the states in which links are put to sleep. */
const idlePerformanceState = 8;

export const timesCounted: readonly GpuMeasure[] = ['thermal-slowdown-time', 'power-brake-time'];

/** Share of the time that counts as held down, and as not. */
const slowedShare = { much: 0.1, none: 0.01 } as const;

export const sampleRules: readonly SampleRule[] = [
  recovery('recovery-drain', (word) => word === 'drain', 'the driver asks to drain it'),
  recovery('recovery-reset', (word) => word === 'reset', 'the driver asks to reset it'),
  recovery('recovery-reset', (word) => word === 'drain-and-reset', 'the driver asks to let its work end and then to reset it'),
  recovery('recovery-reboot', (word) => word === 'reboot', 'the driver asks to reboot the node'),
  // On more than none, not on one more: the count begins anew with the driver or a reset, so what is in it is not mended.
  { id: 'ecc-uncorrectable', kind: 'ecc-uncorrectable', patience: told, look: uncorrected((word) => word !== 'none') },
  { id: 'ecc-contained', kind: 'ecc-contained', patience: told, look: uncorrected((word) => word === 'none') },
  flag('ecc-threshold-exceeded', 'sram-threshold-exceeded', 'uncorrected errors of the on-chip memory are above the threshold'),
  flag('row-remap-failure', 'row-remap-failure', 'a row of its memory could not be remapped'),
  flag('row-remap-pending', 'row-remap-pending', 'a row of its memory is remapped at the next reset'),
  flag('retired-pages-pending', 'retired-pages-pending', 'a page of its memory is retired at the next reset'),
  {
    id: 'thermal-slowdown',
    kind: 'thermal-slowdown',
    patience: slowed,
    look: heldDown('slowed-by-thermal', 'thermal-slowdown-time', 'temperature'),
  },
  {
    id: 'power-brake',
    kind: 'power-brake',
    patience: slowed,
    look: heldDown('slowed-by-power-brake', 'power-brake-time', 'the power brake signal'),
  },
  { id: 'pcie-degraded', kind: 'pcie-degraded', patience: link, look: narrowLink },
  { id: 'fabric-failed', kind: 'fabric-degraded', patience: link, look: failedFabric },
  { id: 'fabric-not-up', kind: 'fabric-degraded', patience: fabricStart, look: fabricNotUp },
];

function recovery(kind: ConditionKind, asks: (word: RecoveryWord) => boolean, detail: string): SampleRule {
  const look = (_sample: Measured, { recovery: word }: Around): Look =>
    word === undefined ? unknown : { verdict: asks(word) ? 'present' : 'absent', detail };
  return { id: `${kind}: ${detail}`, kind, patience: told, look };
}

function flag(kind: ConditionKind, measure: GpuMeasure, detail: string): SampleRule {
  const look = ({ values }: Measured): Look => {
    const value = values[measure];
    return value === undefined ? unknown : { verdict: value > 0 ? 'present' : 'absent', detail };
  };
  return { id: kind, kind, patience: told, look };
}

/** The driver that says that nothing is to be done has contained the errors; one that says nothing is not trusted so far. */
function uncorrected(applies: (word: RecoveryWord | undefined) => boolean): SampleRule['look'] {
  return ({ values }, { recovery: word }) => {
    const count = values['ecc-uncorrected'];
    if (count === undefined) return unknown;
    const detail = `${count} memory error${count === 1 ? '' : 's'} could not be corrected since the driver was loaded`;
    return { verdict: count > 0 && applies(word) ? 'present' : 'absent', detail };
  };
}

/**
 * By the flag of the moment and, where that is not set, by the driver's own count of the time: it sees what flickers between
 * two samples.
 */
function heldDown(momentary: GpuMeasure, time: GpuMeasure, cause: string): SampleRule['look'] {
  return ({ values }, { counted }) => {
    const flag = values[momentary];
    const share = counted.get(time)?.share;
    if ((flag ?? 0) > 0 || (share ?? 0) >= slowedShare.much) return { verdict: 'present', detail: `its clocks are held down by ${cause}` };
    return (share ?? flag) === undefined || (share ?? 0) > slowedShare.none ? unknown : { verdict: 'absent', detail: '' };
  };
}

/** The generation drops by design while nothing is to do; the width does not on server boards, and while idle it is not judged. */
function narrowLink({ values }: Measured, { widestLink }: Around): Look {
  const width = values['pcie-width'];
  const full = Math.max(values['pcie-width-max'] ?? 0, widestLink);
  if (width === undefined || width < 1 || full === 0) return unknown;
  if (width >= full) return { verdict: 'absent', detail: '' };
  const state = values['performance-state'];
  if (state !== undefined && state >= idlePerformanceState) return unknown;
  return { verdict: 'present', detail: `its PCIe link has ${width} of ${full} lanes; seat the board anew or look at riser and slot` };
}

function failedFabric({ words }: Measured): Look {
  if (words.fabricState !== 'completed' || words.fabricStatus === undefined || /^\[?n\/a\]?$/i.test(words.fabricStatus)) return unknown;
  const detail = `the NVLink fabric came up with ${words.fabricStatus}`;
  return { verdict: /^success$/i.test(words.fabricStatus) ? 'absent' : 'present', detail };
}

function fabricNotUp({ words }: Measured): Look {
  if (words.fabricState === undefined) return unknown;
  const detail = `the NVLink fabric is ${words.fabricState === 'in-progress' ? 'still coming up' : 'not started'}; is the fabric manager running?`;
  return { verdict: words.fabricState === 'completed' ? 'absent' : 'present', detail };
}

const unknown: Look = { verdict: 'unknown', detail: '' };
