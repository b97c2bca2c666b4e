import type { GpuWords } from '#core/telemetry/sample';
import { printedMode, printedWord } from '../printed-value.ts';

const computeModes: Readonly<Record<string, NonNullable<GpuWords['computeMode']>>> = {
  default: 'default',
  exclusiveprocess: 'exclusive-process',
  prohibited: 'prohibited',
};

const recoveryActions: Readonly<Record<string, NonNullable<GpuWords['recoveryAction']>>> = {
  none: 'none',
  reset: 'reset',
  gpureset: 'reset',
  reboot: 'reboot',
  nodereboot: 'reboot',
  drainp2p: 'drain',
  drain: 'drain',
  drainandreset: 'drain-and-reset',
};

const fabricStates: Readonly<Record<string, NonNullable<GpuWords['fabricState']>>> = {
  notstarted: 'not-started',
  inprogress: 'in-progress',
  completed: 'completed',
};

/** The last column may be cut nowhere, but a log could be: words of an error are short. */
const statusMax = 200;

/** What the driver says in words, absent where it says nothing we know. `printed` gives the text of a word. */
export function readWords(printed: (word: keyof GpuWords) => string): GpuWords {
  const words: { -readonly [K in keyof GpuWords]: GpuWords[K] } = {};
  const computeMode = lookUp(computeModes, printed('computeMode'));
  if (computeMode !== undefined) words.computeMode = computeMode;
  const persistence = printedMode(printed('persistence'));
  if (persistence === 'enabled' || persistence === 'disabled') words.persistence = persistence === 'enabled';
  const recoveryAction = lookUp(recoveryActions, printed('recoveryAction'));
  if (recoveryAction !== undefined) words.recoveryAction = recoveryAction;
  const fabricState = lookUp(fabricStates, printed('fabricState'));
  if (fabricState !== undefined) words.fabricState = fabricState;
  const fabricStatus = fabricState === 'completed' ? printedWord(printed('fabricStatus')) : undefined;
  if (fabricStatus !== undefined) words.fabricStatus = fabricStatus.slice(0, statusMax);
  return words;
}

/** `Exclusive_Process`, `Exclusive Process` and `EXCLUSIVE_PROCESS` are one word. */
function lookUp<T>(table: Readonly<Record<string, T>>, text: string): T | undefined {
  const key = text
    .trim()
    .toLowerCase()
    .replace(/[\s_-]/g, '');
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
