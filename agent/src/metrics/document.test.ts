import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { metricsDocument } from './document.ts';

const file = join(import.meta.dirname, '../../METRICS.md');

describe('METRICS.md', () => {
  it('is what the code says', () => {
    if (process.env['ASTRAGO_WRITE_METRICS'] === '1') writeFileSync(file, metricsDocument());

    expect(readFileSync(file, 'utf8')).toBe(metricsDocument());
  });
});
