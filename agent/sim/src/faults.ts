import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GpuState } from './machine-state.ts';
import type { MpsKnobs } from './mps/knobs.ts';
import { pause } from './pause.ts';

/** `faults.json` of a machine: what is wrong with it today. README.md tells how to use each knob. */
export interface Faults {
  readonly rules?: readonly FaultRule[];
  readonly noDevices?: boolean;
  readonly driverDown?: boolean;
  readonly libraryMismatch?: boolean;
  /** A GPU that fell off the bus: its UUID, or an object that says how it shows. */
  readonly gpuLost?: string | LostGpu;
  readonly latencyMs?: number;
  readonly behaviour?: Behaviour;
  readonly mps?: MpsKnobs;
}

export interface LostGpu {
  readonly uuid: string;
  /** The whole command stops, healthy GPUs unlisted. */
  readonly aborts?: boolean;
  readonly exitCode?: number;
}

/** Answers that public material does not settle, so that a test can try each. */
export interface Behaviour {
  readonly disableMigWithInstances?: 'refuse' | 'wipe';
  /** Keys: in-use, insufficient, invalid, not-found, warning, permission. */
  readonly exitCodes?: Readonly<Record<string, number>>;
  /** The MIG mode cannot be made effective by a reset (pass-through VM). */
  readonly resetUnsupported?: boolean;
  /** Another nvidia-smi in flight does not count as a client of the GPU. */
  readonly ignoreOtherNvidiaSmi?: boolean;
  /** Fields that this build of nvidia-smi does not know. */
  readonly unknownFields?: readonly string[];
  readonly unprivileged?: boolean;
  readonly errorStream?: 'stdout' | 'stderr';
  /** Clients of MPS on a GPU that is not cut: the server alone is listed, with their memory, unless told otherwise. */
  readonly mpsClientsOnWholeGpu?: 'hidden' | 'listed';
  /** Whether `topo -m` shows the links of a GPU in MIG mode; `hidden` unless told otherwise. */
  readonly nvlinkInMigMode?: 'hidden' | 'listed';
  /** What `topo -m` says of NUMA: a virtual machine may not know or say all nodes, Windows leaves the cells empty. */
  readonly numaAffinity?: 'known' | 'not-available' | 'range' | 'blank';
  /** How many of the three columns about CPUs and NUMA `topo -m` has; older drivers have fewer. */
  readonly affinityColumns?: 1 | 2 | 3;
  /** `-l` beside what the help does not list it for, such as `-L`: refused unless told to run once. */
  readonly loopOutsideQueries?: 'refuse' | 'once';
}

export interface FaultRule {
  /** A rule is about nvidia-smi unless it names the other tool. */
  readonly match?: { readonly tool?: Tool; readonly args?: string; readonly gpu?: string | number };
  /** Stops applying after so many applications; counted on disk. */
  readonly times?: number;
  /** Lets so many matching calls through first. */
  readonly afterMatches?: number;
  readonly action: FaultAction;
}

export type Tool = 'nvidia-smi' | 'nvidia-cuda-mps-control';

export interface FaultAction {
  readonly delayMs?: number;
  readonly hang?: boolean;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly exitCode?: number;
  readonly garbage?: number;
  readonly truncateBytes?: number;
  readonly killSelf?: 'before' | 'after';
  readonly dieAfterSteps?: number;
  readonly stepDelayMs?: number;
  readonly gpuBusy?: boolean;
  /** SIGKILL for the MPS control daemon around its command. */
  readonly killDaemon?: 'before' | 'after';
  readonly failStep?: { readonly index: number; readonly text: string; readonly exitCode?: number };
}

export function readFaults(directory: string): Faults {
  const path = join(directory, 'faults.json');
  for (let attempt = 0; ; attempt += 1) {
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch {
      return {};
    }
    try {
      const parsed = JSON.parse(text) as Faults | readonly FaultRule[];
      return Array.isArray(parsed) ? { rules: parsed } : (parsed as Faults);
    } catch (error) {
      // A test may be writing the file this very moment.
      if (attempt === 20) throw error;
      pause(5);
    }
  }
}

/** The GPU that a call looks at: every GPU, unless `-i` narrows it. */
export function ruleMatches(rule: FaultRule, tool: Tool, args: readonly string[], selected: readonly GpuState[]): boolean {
  const { args: pattern, gpu } = rule.match ?? {};
  if ((rule.match?.tool ?? 'nvidia-smi') !== tool) return false;
  if (pattern !== undefined && !textMatches(pattern, args.join(' '))) return false;
  return gpu === undefined || selected.some((candidate) => candidate.uuid === gpu || candidate.index === Number(gpu));
}

function textMatches(pattern: string, text: string): boolean {
  const regex = /^\/(.*)\/([a-z]*)$/s.exec(pattern);
  return regex ? new RegExp(regex[1] ?? '', regex[2]).test(text) : text.includes(pattern);
}

/**
 * Counts one match of each given rule and tells which of them apply now.
 * Counts belong to one writing of `faults.json`: writing it again re-arms every rule.
 * Only for the holder of the machine's lock.
 */
export function countMatches(
  directory: string,
  matched: readonly { readonly position: number; readonly rule: FaultRule }[],
): readonly FaultRule[] {
  const status = statSync(join(directory, 'faults.json'), { bigint: true });
  const writing = `${status.ino}:${status.mtimeNs}`;
  const path = join(directory, 'fault-counts.json');
  let counts: { writing: string; matches: Record<string, number> } = { writing, matches: {} };
  try {
    const stored = JSON.parse(readFileSync(path, 'utf8')) as typeof counts;
    if (stored.writing === writing) counts = stored;
  } catch {
    // No count yet.
  }
  const active = matched.filter(({ position, rule }) => {
    const match = (counts.matches[position] ?? 0) + 1;
    counts.matches[position] = match;
    const first = (rule.afterMatches ?? 0) + 1;
    return match >= first && match < first + (rule.times ?? Number.POSITIVE_INFINITY);
  });
  writeFileSync(`${path}.tmp`, JSON.stringify(counts));
  renameSync(`${path}.tmp`, path);
  return active.map(({ rule }) => rule);
}
