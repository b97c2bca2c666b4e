import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { enforcementModes, parseEnforcementPolicy } from './enforcement.ts';

describe('an enforcement policy', () => {
  it('names what is done about each finding; what is left out is only observed', () => {
    expect(parseEnforcementPolicy('foreign-process=terminate, memory-over-share=notify,grace=60')).toEqual({
      kind: 'policy',
      policy: { foreignProcess: 'terminate', outsideAllocation: 'observe', memoryOverShare: 'notify', graceSeconds: 60 },
    });
  });

  it.each(['', 'terminate', 'foreign=terminate', 'foreign-process=kill', 'grace=0', 'grace=9999', 'grace=1.5', 'foreign-process'])(
    'is not %j',
    (text) => expect(parseEnforcementPolicy(text)).toMatchObject({ kind: 'fault' }),
  );

  it('ends nothing unless the word for it is there', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const read = parseEnforcementPolicy(text);
        if (read.kind === 'policy' && !text.includes('terminate')) expect(Object.values(read.policy)).not.toContain('terminate');
      }),
    );
    expect(enforcementModes).toContain('terminate');
  });
});
