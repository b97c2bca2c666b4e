import { describe, expect, it } from 'vitest';
import { answerTo, comparable, recorded } from './recorded.ts';
import { SimulatedMachine } from './simulated-machine.ts';

/** Runs the command and returns what it printed in comparable form. */
function printed(machine: SimulatedMachine, command: string): string {
  return comparable(machine.run(command).stdout);
}

describe('the listings of an H100, driver 580', () => {
  const recordings: Readonly<Record<string, readonly string[]>> = {
    'prickle/h100-default-20260729': [],
    'prickle/h100-mig-20260729': ['-mig 1', 'mig -cgi 19,19 -C'],
    'prickle/h100-mig-mixed-20260729': ['-mig 1', 'mig -cgi 19,20 -C', 'mig -cgi 9', 'mig -cci 0 -gi 1'],
  };

  for (const [recording, commands] of Object.entries(recordings)) {
    it(`are those of ${recording}, byte for byte`, () => {
      using machine = new SimulatedMachine({ driverVersion: '580.173.02' });
      for (const command of commands) expect(machine.run(command).code, command).toBe(0);

      expect(machine.run('mig -lgip').stdout).toBe(recorded(`${recording}/mig-profiles.txt`));
      expect(machine.run('mig -lgi').stdout).toBe(recorded(`${recording}/mig-gi.txt`));
      expect(machine.run('mig -lci').stdout).toBe(recorded(`${recording}/mig-ci.txt`));
      expect(printed(machine, '-L')).toBe(comparable(recorded(`${recording}/gpus.txt`)));
    });
  }

  it('end with 6 when there is nothing to list', () => {
    using machine = new SimulatedMachine();

    expect(machine.run('mig -lgi').code).toBe(6);
    machine.run('-mig 1');
    expect(machine.run('mig -lgi')).toMatchObject({ code: 6, stdout: 'No GPU instances found: Not Found\n' });
    expect(machine.run('mig -lci')).toMatchObject({ code: 6, stdout: 'No GPU instances found: Not Found\n' });
  });
});

it('plays the A30 transcript of driver 535', () => {
  const transcript = recorded('transcripts/a30-535.183.01-lgipp-lgip-cgi-lgi-L-smi-lcip.txt');
  using machine = new SimulatedMachine({ model: 'a30-24gb', driverVersion: '535.183.01', migEnabled: true });

  const typed: readonly (readonly [string, number])[] = [
    ['mig -lgipp', 0],
    ['mig -lgip', 0],
    ['mig -lgi', 0],
    ['mig -cgi 14 -C', 0],
    ['mig -lgi', 1],
    ['-L', 0],
    ['mig -cgi 14 -C', 1],
    ['-L', 1],
    ['mig -lgi', 2],
    ['mig -cgi 5 -C', 0],
    ['mig -lgi', 3],
    ['mig -lcip -gi 2', 0],
    ['mig -lcip -gi 3', 0],
    ['-L', 2],
  ];
  for (const [command, nth] of typed) expect(printed(machine, command), command).toBe(answerTo(transcript, command, nth));
});

it('plays the RTX PRO 6000 transcript of driver 610 on eight GPUs', () => {
  const transcript = recorded('transcripts/rtx-pro-6000-server-610.43.02-8gpu.txt');
  using machine = new SimulatedMachine({ model: 'rtx-pro-6000', gpuCount: 8, driverVersion: '610.43.02', persistence: false });
  const mixed = 'mig -i 0 -cgi 2g.48gb,1g.24gb,1g.24gb -C';
  const expectPlayed = (command: string, nth = 0): void => {
    expect(printed(machine, command), command).toBe(answerTo(transcript, command, nth));
  };

  for (const command of [
    '-L',
    '-i 0 --query-gpu=index,name,mig.mode.current --format=csv',
    '-i 0 -mig 1',
    'mig -i 0 -lgip',
    'mig -i 0 -lgipp',
    mixed,
    'mig -i 0 -lgi',
  ])
    expectPlayed(command);
  machine.run('mig -i 0 -dci');
  machine.run('mig -i 0 -dgi');
  expectPlayed('mig -i 0 -cgi 1g.24gb,1g.24gb,1g.24gb,1g.24gb -C');
  expect(printed(machine, '-L')).toContain(answerTo(transcript, '-L', 1));
  expectPlayed('mig -i 0 -lgi', 1);
  for (const command of ['mig -i 0 -lci', 'mig -i 0 -dgi', 'mig -i 0 -dci']) expectPlayed(command);
  expectPlayed('mig -i 0 -dgi', 1);
  expectPlayed('-i 0 -mig 0');
  expectPlayed('-i 0 --query-gpu=index,mig.mode.current --format=csv');
});

it('prints the narrow profile table for the A100, the H100 NVL and the GH200', () => {
  const listings = recorded('transcripts/a100-and-h100nvl-listings-harvester-style.txt');
  const gh200 = recorded('transcripts/gh200-96gb-mig-enable-lgip-cgi-errors.txt');
  using a100 = new SimulatedMachine({ model: 'a100-40gb', driverVersion: '550.54.15', migEnabled: true });
  using nvl = new SimulatedMachine({ model: 'h100-nvl-94gb', driverVersion: '550.54.15', migEnabled: true });
  using grace = new SimulatedMachine({ model: 'gh200-96gb', driverVersion: '550.54.15', migEnabled: true });

  expect(listings).toContain(printed(a100, 'mig -lgip'));
  nvl.run('mig -cgi 9,9 -C');
  expect(listings).toContain(printed(nvl, 'mig -lgip'));
  expect(listings).toContain(printed(nvl, 'mig -lgi'));
  expect(printed(grace, 'mig -lgip')).toBe(answerTo(gh200, 'mig -lgip'));
  expect(printed(grace, 'mig -cgi 20,20,20 -C')).not.toBe('');
});
