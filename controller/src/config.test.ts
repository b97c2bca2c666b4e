import { describe, expect, it } from 'vitest';
import { readControllerConfig } from './config.ts';

describe('the configuration', () => {
  it('needs a data directory, and listens on loopback unless told otherwise', () => {
    expect(() => readControllerConfig({})).toThrow('set ASTRAGO_DATA');
    expect(readControllerConfig({ ASTRAGO_DATA: '/data' })).toMatchObject({
      dataDirectory: '/data',
      httpBind: '127.0.0.1:8420',
      joinBind: '127.0.0.1:0',
      agentsBind: '127.0.0.1:0',
      nodeUnreachableAfterMs: 10_000,
      nodeLostAfterMs: 60_000,
    });
  });

  it('reads what agents do about processes that are not where they belong, and refuses what it does not understand', () => {
    const read = (text: string | undefined) => readControllerConfig({ ASTRAGO_DATA: '/data', ASTRAGO_ENFORCEMENT: text }).enforcement;
    expect(read(undefined)).toBeUndefined();
    expect(read('foreign-process=terminate,grace=5')).toMatchObject({ foreignProcess: 'terminate', graceSeconds: 5 });
    expect(() => read('kill')).toThrow('ASTRAGO_ENFORCEMENT: "kill" is no part of an enforcement policy');
  });

  it.each(['0', '-1', '1.5', 'soon', ''])('does not take %j for a time', (text) => {
    expect(() => readControllerConfig({ ASTRAGO_DATA: '/data', ASTRAGO_NODE_LOST_AFTER_MS: text })).toThrow(
      `ASTRAGO_NODE_LOST_AFTER_MS must be a whole number above 0, not ${JSON.stringify(text)}`,
    );
  });
});
