import { describe, expect, it } from 'vitest';
import { parseComputeMode } from './compute-mode.ts';

describe('a compute mode', () => {
  it.each([
    ['Default', 'default'],
    ['Exclusive_Process', 'exclusive-process'],
    ['Prohibited', 'prohibited'],
    ['[N/A]', undefined],
  ])('%s is read', (text, mode) => {
    expect(parseComputeMode(`${text}\n`)).toEqual({ kind: 'parsed', value: mode });
  });

  it('that is not known is not guessed at', () => {
    expect(parseComputeMode('Exclusive_Thread\n')).toMatchObject({ kind: 'unreadable' });
  });
});
