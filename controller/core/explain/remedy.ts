// What would make a waiting workload fit. Each is tried on the cluster before it is told.
import type { ConditionKind } from '@astrago/shared/domain/condition';
import type { Change, Observation } from '../cluster/change.ts';

/** `text` is all of it as half a sentence that begins with `fits` or `will fit`; the rest is the same for programs. */
export type Remedy = { readonly text: string } & RemedyFacts;

export type RemedyFacts =
  /** Nothing is missing: others, so many, are looked at before it. */
  | { readonly kind: 'wait-turn'; readonly before: number }
  /** When these have ended, the last of them at about this time, as they were expected to. */
  | { readonly kind: 'wait-ends'; readonly workloads: readonly string[]; readonly atMs: number }
  /** If it asked for this instead; what is absent stays as it is. */
  | { readonly kind: 'smaller-ask'; readonly ask: SmallerAsk }
  /** If it gave up, or put up with, all of these. */
  | { readonly kind: 'relax'; readonly terms: RelaxedTerms }
  | { readonly kind: 'uncordon'; readonly nodes: readonly string[]; readonly gpus: number }
  /** Layouts that a person has pinned, made anew around the slices in use. */
  | { readonly kind: 'repartition'; readonly gpus: readonly RecutGpu[] }
  | {
      readonly kind: 'raise-limit';
      readonly workspace: string;
      readonly by: RaisedAmounts;
      readonly to: RaisedAmounts;
    }
  | { readonly kind: 'mend'; readonly things: readonly AilingThing[] }
  /** All of these have to be stopped; where `any` is true, one of them is enough. */
  | { readonly kind: 'stop'; readonly workloads: readonly string[]; readonly any: boolean };

export type RemedyKind = Remedy['kind'];

export interface SmallerAsk {
  readonly gpus?: number;
  readonly profile?: string;
  /** Of slices. */
  readonly count?: number;
  readonly milli?: number;
  readonly cpuMilli?: number;
  readonly memoryMiB?: number;
  /** Of its gang that must start together. */
  readonly members?: number;
}

export interface RelaxedTerms {
  readonly tolerate?: readonly string[];
  /** Node labels not insisted on. */
  readonly labels?: readonly string[];
  /** Levels of closeness, or of distance, not insisted on. */
  readonly localities?: readonly string[];
  /** Words of a GPU model not insisted on. */
  readonly model?: string;
  /** It may be interrupted. */
  readonly interruptible?: boolean;
}

export interface RecutGpu {
  readonly node: string;
  readonly index: number;
  readonly uuid: string;
  /** As `partition --layout` takes it. */
  readonly layout: string;
}

/** What is absent is not changed. */
export interface RaisedAmounts {
  readonly compute?: number;
  readonly memory?: number;
  readonly cpuMilli?: number;
  readonly memoryMiB?: number;
  readonly models?: Readonly<Record<string, { readonly compute?: number; readonly memory?: number }>>;
}

export interface AilingThing {
  readonly node: string;
  /** Index of the GPU; absent: the node as a whole. */
  readonly gpu?: number;
  /** None: the node does not answer. */
  readonly conditions: readonly ConditionKind[];
}

/** A remedy with what it would do to the cluster, which is how it is tried. */
export interface Candidate {
  readonly remedy: Remedy;
  readonly changes: readonly (Change | Observation)[];
}

/** The least harmful first: waiting, asking for less, what an admin undoes in a second, repairs, and other people's work. */
export const leastHarmfulFirst: readonly RemedyKind[] = [
  'wait-turn',
  'wait-ends',
  'smaller-ask',
  'relax',
  'uncordon',
  'repartition',
  'raise-limit',
  'mend',
  'stop',
];
