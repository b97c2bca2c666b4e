import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { dataDirectory } from './data-directory.ts';
import { locateCluster } from './locate-cluster.ts';

const directory = mkdtempSync(join(tmpdir(), 'astrago-locate-'));
const tokenFile = join(directory, 'token');
writeFileSync(tokenFile, 'from-file\n');
writeFileSync(
  join(directory, 'cluster.json'),
  JSON.stringify({ url: 'http://local:1', tokenFile, pid: 4_000_000, startTime: 'x', version: '0' }),
);
afterAll(() => rmSync(directory, { recursive: true }));

describe('the cluster that a command talks to', () => {
  it.each([
    [
      'the command line first',
      { url: 'http://flag', token: 'a' },
      { ASTRAGO_URL: 'http://env', ASTRAGO_TOKEN: 'b' },
      { url: 'http://flag', token: 'a' },
    ],
    [
      'then the environment',
      {},
      { ASTRAGO_URL: 'http://env', ASTRAGO_TOKEN: 'b', ASTRAGO_DATA: directory },
      { url: 'http://env', token: 'b' },
    ],
    [
      'but a data directory on the command line before that',
      { data: directory },
      { ASTRAGO_URL: 'http://env', ASTRAGO_TOKEN: 'b' },
      { url: 'http://local:1', token: 'from-file' },
    ],
    ['then the data directory of the environment', {}, { ASTRAGO_DATA: directory }, { url: 'http://local:1', token: 'from-file' }],
    ['with a token that was given instead of that in the file', { data: directory, token: 'c' }, {}, { url: 'http://local:1', token: 'c' }],
  ])('is %s', async (_what, choice, environment, expected) => {
    expect(await locateCluster(choice, environment)).toEqual({ ...expected, supervised: false });
  });

  it('gets no token that belongs to another', async () => {
    expect(await locateCluster({ url: 'http://elsewhere' }, { ASTRAGO_DATA: directory })).toEqual({
      url: 'http://elsewhere',
      token: undefined,
      supervised: false,
    });
  });
});

describe('the data directory', () => {
  it('is the first that is named', () => {
    expect(dataDirectory('/a', { ASTRAGO_DATA: '/b' })).toBe('/a');
    expect(dataDirectory(undefined, { ASTRAGO_DATA: '/b' })).toBe('/b');
    expect(dataDirectory(undefined, { XDG_STATE_HOME: '/c' })).toBe('/c/astrago');
    expect(dataDirectory(undefined, {})).toMatch(/\.local\/state\/astrago$/);
  });
});
