import { describe, expect, it } from 'vitest';
import { repository, sampleTree, type Tree } from './tree.ts';

export interface Rule {
  /** What holds, as a sentence. */
  readonly sentence: string;
  /** What breaks it, each with its place. */
  broken(tree: Tree): readonly string[];
  /** Files that break it. */
  readonly sample: Readonly<Record<string, string>>;
}

/** Each rule twice: it holds here, and it would notice its sample. */
export function describeRules(subject: string, rules: readonly Rule[]): void {
  const here = repository();
  describe(subject, () => {
    for (const rule of rules) {
      it(rule.sentence, () => expect(rule.broken(here)).toEqual([]));
      it(`notices when not: ${rule.sentence}`, () => expect(rule.broken(sampleTree(rule.sample))).not.toEqual([]));
    }
  });
}
