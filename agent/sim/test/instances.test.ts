import { describe, expect, it } from 'vitest';
import { answerTo, comparable, recorded } from './recorded.ts';
import { SimulatedMachine } from './simulated-machine.ts';

const guide = recorded('transcripts/nvidia-mig-user-guide-v580-transcripts.txt');

function emptyA100(): SimulatedMachine {
  return new SimulatedMachine({ model: 'a100-40gb', migEnabled: true });
}

describe('creating GPU instances on an A100', () => {
  for (const command of ['mig -cgi 9,3g.20gb -C', 'mig -cgi 19,19,14,9', 'mig -cgi 9,19,14,19', 'mig -cgi 14,19,19,19,19,19']) {
    it(`answers ${command} as the guide shows`, () => {
      using machine = emptyA100();

      expect(comparable(machine.run(command).stdout)).toBe(answerTo(guide, command));
    });
  }

  it('takes the seven single slots in the recorded order', () => {
    using machine = emptyA100();
    const transcript = recorded('transcripts/a100-pcie-40gb-r450-7x1g.txt');

    expect(comparable(machine.run('mig -cgi 19,19,19,19,19,19,19').stdout)).toBe(answerTo(transcript, 'mig -cgi 19,19,19,19,19,19,19'));
    expect(comparable(machine.run('mig -cci').stdout)).toBe(answerTo(transcript, 'mig -cci'));
  });

  it('keeps what was made before a failure', () => {
    using machine = emptyA100();

    const { code } = machine.run('mig -cgi 19,19,14,9');

    expect(code).toBe(23);
    expect(machine.state().gpus[0]?.instances.map(({ id }) => id)).toEqual([13, 11, 3]);
  });

  it('reports a taken placement as insufficient, an impossible one and an unknown profile as invalid', () => {
    using machine = emptyA100();
    machine.run('mig -cgi 19:2');

    expect(machine.run('mig -cgi 19:2').stdout).toBe(
      'Unable to create a GPU instance on GPU  0 using profile 19: Insufficient Resources\nFailed to create GPU instances: Insufficient Resources\n',
    );
    expect(machine.run('mig -cgi 9:2')).toMatchObject({ code: 2, stdout: expect.stringContaining('Invalid Argument') });
    expect(machine.run('mig -cgi 3g.40gb').stdout).toContain('using profile 3g.40gb: Invalid Argument');
  });

  it('allows one media-extension instance a GPU', () => {
    using machine = emptyA100();
    const gh200 = recorded('transcripts/gh200-96gb-mig-enable-lgip-cgi-errors.txt');
    machine.run('mig -cgi 20');

    expect(comparable(machine.run('mig -cgi 20 -C').stdout)).toBe(answerTo(gh200, 'mig -cgi 20,20,20 -C'));
  });
});

it('gives one-slice instances of double memory compute profile 7 on Hopper', () => {
  using machine = new SimulatedMachine({ model: 'gh200-96gb', migEnabled: true });
  const transcript = recorded('transcripts/gh200-96gb-mig-enable-lgip-cgi-errors.txt');

  expect(comparable(machine.run('mig -cgi 15,15,15 -C').stdout)).toBe(answerTo(transcript, 'mig -cgi 15,15,15 -C'));
});

it('gives the same MIG UUID back for the same slot, whatever the profile', () => {
  using machine = new SimulatedMachine({ migEnabled: true });
  const uuid = (): string | undefined => /MIG-[0-9a-f-]+/.exec(machine.run('-L').stdout)?.[0];

  machine.run('mig -cgi 19:4 -C');
  const first = uuid();
  machine.run('mig -dci');
  machine.run('mig -dgi');
  machine.run('mig -cgi 20:4 -C');

  expect(first).toMatch(/^MIG-[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab]/);
  expect(uuid()).toBe(first);
});

describe('compute instances', () => {
  it('share one GPU instance: a lone 1c at the right, a 2c beside it', () => {
    using machine = new SimulatedMachine({ model: 'h200-141gb', migEnabled: true });
    machine.run('mig -cgi 9');

    machine.run('mig -cci 0,1 -gi 2');

    expect(machine.run('-L').stdout).toMatch(/MIG 1c\.3g\.71gb {2}Device {2}0: .*\n {2}MIG 2c\.3g\.71gb {2}Device {2}1: /);
    expect(machine.run('mig -lci').stdout).toMatch(/1c\.3g\.71gb +0 +0 +2:1 [\s\S]*2c\.3g\.71gb +1 +1 +0:2 /);
    expect(machine.run('mig -cci 0 -gi 2').stdout).toContain('Insufficient Resources');
  });

  it('must be gone before their GPU instance is', () => {
    using machine = new SimulatedMachine({ migEnabled: true });
    machine.run('mig -cgi 19,19 -C');

    expect(machine.run('mig -dgi -gi 13')).toMatchObject({ code: 19, stdout: expect.stringContaining('In use by another client') });
    expect(machine.run('mig -dci -gi 13').stdout).toBe('Successfully destroyed compute instance ID  0 from GPU  0 GPU instance ID 13\n');
    expect(machine.run('mig -dgi -gi 13').stdout).toBe('Successfully destroyed GPU instance ID 13 from GPU  0\n');
    expect(machine.state().gpus[0]?.instances.map(({ id }) => id)).toEqual([11]);
  });
});
