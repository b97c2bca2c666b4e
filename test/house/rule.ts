import { describe, expect, it } from 'vitest';
import { repository, sampleTree, type Tree } from './tree.ts';

export interface Rule {
  /** What holds, as a sentence. */
  readonly sentence: string;
  /** What breaks it, each with its place. */
  broken(tree: Tree): readonly string[];
  /** Files that break it. */
  readonly sample: Readonly<Record<string, string>>;
  /** Files that do not, where the rule has exceptions. */
  readonly harmless?: Readonly<Record<string, string>>;
}

/** Each rule twice: it holds here, and it would notice its sample. What it excepts it is shown, too. */
export function describeRules(subject: string, rules: readonly Rule[]): void {
  const here = repository();
  describe(subject, () => {
    for (const rule of rules) {
      it(rule.sentence, () => expect(rule.broken(here)).toEqual([]));
      it(`notices when not: ${rule.sentence}`, () => expect(rule.broken(sampleTree(rule.sample))).not.toEqual([]));
      const { harmless } = rule;
      if (harmless !== undefined)
        it(`excepts what it should: ${rule.sentence}`, () => expect(rule.broken(sampleTree(harmless))).toEqual([]));
    }
  });
}
