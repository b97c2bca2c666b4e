import { type Deed, holdTexts } from '#core/enforcement/enforce';
import type { Finding } from '#core/enforcement/finding';

/** So many processes a condition names; of the rest it says how many. */
const namedMax = 3;

/** The text of a condition; `undefined` without findings. It bears no amounts: each change of a text is a new report. */
export function conditionText(findings: readonly Finding[]): string | undefined {
  if (findings.length === 0) return undefined;
  const texts = findings.toSorted((a, b) => a.pid - b.pid).map(({ detail }) => detail);
  const more = texts.length > namedMax ? [`and ${texts.length - namedMax} more`] : [];
  return [...texts.slice(0, namedMax), ...more].join('; ');
}

export function deedText(deed: Deed): string {
  const { detail, measured } = deed.finding;
  const found = measured === undefined ? detail : `${detail} (${measured})`;
  switch (deed.kind) {
    case 'notified':
      return found;
    case 'terminated':
      return `${found}; it was told to end`;
    case 'killed':
      return `${found}; it did not end when told, and was killed`;
    case 'held-back':
      return `${found}; it was not ended: ${holdTexts[deed.reason]}`;
    default:
      return deed satisfies never;
  }
}

/** What became of a signal that did not reach its process. */
export const missedTexts = {
  gone: 'it had ended already',
  'not-permitted': 'the system did not allow it',
} as const;
