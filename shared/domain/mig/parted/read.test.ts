import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pointerOf } from './config.ts';
import { formatPartedProfile, parsePartedProfile } from './profile.ts';
import { readParted } from './read.ts';
import { selectParted } from './select.ts';

const entry = { devices: 'all', 'mig-enabled': true, 'mig-devices': { '1g.10gb': 7 } };
const fileOf = (...entries: readonly object[]): object => ({ version: 'v1', 'mig-configs': { own: entries } });

function faultsOf(value: unknown): readonly string[] {
  const read = readParted(value);
  return read.kind === 'faults' ? read.faults.map(({ path, detail }) => `${pointerOf(path)}: ${detail}`) : [];
}

describe('reading a mig-parted file', () => {
  it.each([
    ['one entry', fileOf(entry)],
    ['MIG mode without slices', fileOf({ devices: 'all', 'mig-enabled': true, 'mig-devices': {} })],
    ['no MIG, with an empty list', fileOf({ devices: 'all', 'mig-enabled': false, 'mig-devices': {} })],
    ['indices and one filter', fileOf({ ...entry, devices: [0, 3], 'device-filter': '0x233010DE' })],
    ['a filter of names, which is well written', fileOf({ ...entry, 'device-filter': ['MODEL1', 'MODEL2'] })],
    ['an empty filter', fileOf({ ...entry, 'device-filter': '' })],
    ['no device', fileOf({ ...entry, devices: [] })],
    ['a profile that no device has', fileOf({ ...entry, 'mig-devices': { '0g.0gb': 100 } })],
    ['a count of none beside another', fileOf({ ...entry, 'mig-devices': { '1g.10gb': 0, '2g.20gb': 1 } })],
    ['nothing but its version', { version: 'v1' }],
    ['placements alone', fileOf({ devices: 'all', 'mig-enabled': true, 'mig-placements': [{ profile: '3g.40gb', start: 4 }] })],
    ['placements that agree', fileOf({ ...entry, 'mig-devices': { '3g.40gb': 1 }, 'mig-placements': [{ profile: '3g.40gb', start: 4 }] })],
  ])('takes %s', (_what, value) => {
    expect(faultsOf(value)).toEqual([]);
  });

  it.each<[string, unknown, string]>([
    ['nothing', null, ": this is no mig-parted configuration: 'version: v1' and 'mig-configs' are expected"],
    ['no version', { 'mig-configs': { own: [entry] } }, ": 'version' is missing"],
    ['another version', { ...fileOf(entry), version: 'v1.1' }, '/version: version "v1.1" is not known'],
    ['a version that is a number', { ...fileOf(entry), version: 1 }, '/version: version 1 is not known'],
    ['no configurations', { version: 'v1', 'mig-configs': {} }, '/mig-configs: at least one configuration is needed'],
    ['a configuration without entries', fileOf(), '/mig-configs/own: at least one entry is needed'],
    ['a configuration that is no list', { version: 'v1', 'mig-configs': { 'a/b': entry } }, '/mig-configs/a~1b: must be a list'],
    ['a field of its own', { ...fileOf(entry), extra: 1 }, '/extra: unexpected field'],
    ['a field of its own in an entry', fileOf({ ...entry, bogus: 1 }), '/mig-configs/own/0/bogus: unexpected field'],
    ['another case', fileOf({ ...entry, Devices: 'all' }), '/mig-configs/own/0/Devices: unexpected field'],
    ['no devices', fileOf({ 'mig-enabled': false }), "/mig-configs/own/0: 'devices' is missing"],
    ['no mode', fileOf({ devices: 'all' }), "/mig-configs/own/0: 'mig-enabled' is missing"],
    ['devices of another kind', fileOf({ ...entry, devices: 'none' }), '/mig-configs/own/0/devices: must be all or a list of GPU indices'],
    ['a device by name', fileOf({ ...entry, devices: [0, '1'] }), '/mig-configs/own/0/devices/1: "1" is not the index of a GPU'],
    ['a negative index', fileOf({ ...entry, devices: [-1] }), '/mig-configs/own/0/devices/0: -1 is not the index of a GPU'],
    [
      'a filter that is a number',
      fileOf({ ...entry, 'device-filter': 0x233010de }),
      '/mig-configs/own/0/device-filter: 590352606 must be text',
    ],
    ['a mode in words', fileOf({ ...entry, 'mig-enabled': 'yes' }), '/mig-configs/own/0/mig-enabled: must be true or false, not "yes"'],
    ['MIG mode without a word on slices', fileOf({ devices: 'all', 'mig-enabled': true }), "/mig-configs/own/0: 'mig-devices' is missing"],
    ['slices of null', fileOf({ ...entry, 'mig-devices': null }), '/mig-configs/own/0/mig-devices: must hold a count by profile'],
    ['slices without MIG mode', fileOf({ ...entry, 'mig-enabled': false }), '/mig-configs/own/0/mig-devices: must be empty'],
    [
      'a profile that is none',
      fileOf({ ...entry, 'mig-devices': { bogus: 2 } }),
      '/mig-configs/own/0/mig-devices/bogus: "bogus" is not a MIG profile',
    ],
    [
      'a count below none',
      fileOf({ ...entry, 'mig-devices': { '1g.10gb': -1 } }),
      '/mig-configs/own/0/mig-devices/1g.10gb: the count must be a whole number',
    ],
    ['a count in words', fileOf({ ...entry, 'mig-devices': { '1g.10gb': '7' } }), 'not "7"'],
    ['half a slice', fileOf({ ...entry, 'mig-devices': { '1g.10gb': 0.5 } }), 'not 0.5'],
    ['counts of none only', fileOf({ ...entry, 'mig-devices': { '1g.10gb': 0 } }), 'all counts are 0'],
    ['one profile in two spellings', fileOf({ ...entry, 'mig-devices': { '3g.20gb': 1, '3c.3g.20gb': 1 } }), '3g.20gb is counted twice'],
    [
      'placements that disagree',
      fileOf({ ...entry, 'mig-placements': [{ profile: '1g.10gb', start: 0 }] }),
      "1 of 1g.10gb are placed, and 'mig-devices' has 7",
    ],
    [
      'a placement without its start',
      fileOf({ devices: 'all', 'mig-enabled': true, 'mig-placements': [{ profile: '1g.10gb' }] }),
      '/mig-configs/own/0/mig-placements/0/start: the start must be',
    ],
    [
      'a placement with its size',
      fileOf({ devices: 'all', 'mig-enabled': true, 'mig-placements': [{ profile: '1g.10gb', start: 0, size: 1 }] }),
      '/mig-placements/0/size: unexpected field',
    ],
    [
      'placements without MIG mode',
      fileOf({ devices: 'all', 'mig-enabled': false, 'mig-placements': [{ profile: '1g.10gb', start: 0 }] }),
      '/mig-placements: must be empty',
    ],
  ])('refuses %s and says where', (_what, value, says) => {
    expect(faultsOf(value)).toContainEqual(expect.stringContaining(says));
  });

  it('tells everything that is wrong, not the first thing', () => {
    expect(faultsOf({ version: 'v2', 'mig-configs': { a: [], b: [{ devices: 'x', 'mig-enabled': 1 }] } })).toHaveLength(4);
  });

  it('never throws, whatever it is given', () => {
    const nearly = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.constantFrom(null, true, false, 'all', 'v1', '1g.10gb', 0, 1, -1, 0.5),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(
          fc.constantFrom(
            'version',
            'mig-configs',
            'devices',
            'device-filter',
            'mig-enabled',
            'mig-devices',
            'mig-placements',
            '1g.10gb',
            '__proto__',
            'toString',
          ),
          tie('value'),
          { maxKeys: 6 },
        ),
      ),
    })).value;
    fc.assert(
      fc.property(nearly, (value) => {
        const answer = readParted(value);
        if (answer.kind === 'faults') for (const fault of answer.faults) expect(fault.detail).toMatch(/^\S.*\S$/);
        else
          for (const name of answer.file.configs.keys())
            expect(selectParted(answer.file, name, [{ index: 0, model: 'NVIDIA H100 80GB HBM3', migCapable: true }]).kind).not.toBe(
              'no-such-config',
            );
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a profile of a mig-parted file', () => {
  it.each(['1g.5gb', '1g.10gb+me', '1g.24gb+gfx', '1g.24gb+me.all', '1g.24gb-me', '1c.3g.20gb', '2c.4g.40gb', '1c.7g.80gb'])(
    'is read and written: %s',
    (text) => {
      const profile = parsePartedProfile(text);
      expect(profile && formatPartedProfile(profile)).toBe(text);
    },
  );
  it('is the slice itself where its compute instance is all of it', () => {
    expect(parsePartedProfile('3c.3g.20gb')).toEqual({ kind: 'slice', name: '3g.20gb' });
  });
  it.each(['', 'g.gb', '1g', '1g.5gb+xx', '1g.5gb.me', 'MIG 1g.5gb', '4c.3g.20gb', '0c.3g.20gb', '1c.1c.3g.20gb', '1g.5gb+me,gfx'])(
    'is not %j',
    (text) => {
      expect(parsePartedProfile(text)).toBeUndefined();
    },
  );
});
