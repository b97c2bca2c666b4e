import { describe, expect, it } from 'vitest';
import { type Running, SimulatedMachine, until } from './simulated-machine.ts';

const lines = (call: Running): readonly string[] => call.output().split('\n').filter(Boolean);

/** A loop that is stopped with the test. */
function loop(machine: SimulatedMachine, command: string): Running & Disposable {
  const call = machine.start(command);
  return { ...call, [Symbol.dispose]: () => call.kill('SIGKILL') };
}

describe('a loop', () => {
  it('prints its header once and every round at once, until it is told to end', async () => {
    using machine = new SimulatedMachine({ gpuCount: 2 });
    using call = loop(machine, '--query-gpu=index,mig.mode.current --format=csv -lms 30');

    await until(() => lines(call).length > 6);
    machine.run('-i 1 -mig 1');
    await until(() => call.output().includes('1, Enabled'));
    call.kill('SIGTERM');
    const { signal, code } = await call.ended;

    expect(lines(call).filter((line) => line.startsWith('index'))).toHaveLength(1);
    expect(lines(call).slice(0, 3)).toEqual(['index, mig.mode.current', '0, Disabled', '1, Disabled']);
    expect(signal ?? code).toBe('SIGTERM');
  });

  it('shows instances and processes that came after it', async () => {
    using machine = new SimulatedMachine({ migEnabled: true });
    using xml = loop(machine, '-q -x -lms 50');
    using apps = loop(machine, '--query-compute-apps=pid --format=csv,noheader -lms 30');
    await until(() => xml.output().split('</nvidia_smi_log>').length > 2);

    machine.run('mig -cgi 9 -C');
    using workload = machine.attach({ CUDA_VISIBLE_DEVICES: machine.created.gpuUuids[0] ?? '' });

    await until(() => xml.output().includes(`<pid>${workload.pid}</pid>`));
    expect(xml.output().match(/<\?xml/g)?.length).toBeGreaterThan(2);
    expect(await until(() => lines(apps)[0])).toBe(String(workload.pid));
  });

  it('works for the table, and takes a file', async () => {
    using machine = new SimulatedMachine();
    using table = loop(machine, '-lms 30');

    await until(() => (table.output().match(/NVIDIA-SMI/g)?.length ?? 0) > 1);
    expect(table.output()).toContain('No running processes found');
  });

  for (const command of ['-L -l 1', '-pm 1 -l 1', '-q -x -l 0', '--query-gpu=index --format=csv -lms soon']) {
    it(`is refused in ${command}`, () => {
      using machine = new SimulatedMachine();

      expect(machine.run(command)).toMatchObject({ code: 2, stdout: expect.stringMatching(/^Invalid .* run 'nvidia-smi -h' for help/) });
    });
  }
});

describe('a loop in trouble', () => {
  const command = '--query-gpu=index --format=csv,noheader -lms 30';

  it('ends with the error and its code when the driver goes', async () => {
    using machine = new SimulatedMachine();
    using call = loop(machine, command);
    await until(() => lines(call).length > 1);

    machine.setFaults({ driverDown: true });

    expect(await call.ended).toMatchObject({ code: 9, stdout: expect.stringMatching(/^0\n0\n(0\n)*NVIDIA-SMI has failed/) });
  });

  it('ends with the code of a lost GPU', async () => {
    using machine = new SimulatedMachine({ gpuCount: 2 });
    using call = loop(machine, command);
    await until(() => lines(call).length > 1);

    machine.setFaults({ gpuLost: machine.created.gpuUuids[1] ?? '' });

    expect(await call.ended).toMatchObject({ code: 15, stdout: expect.stringMatching(/0\nUnable to determine [^\n]*\n$/) });
  });

  it('hangs in the middle, deaf to SIGTERM', async () => {
    using machine = new SimulatedMachine();
    machine.setFaults({ rules: [{ match: { args: '--query-gpu' }, afterMatches: 3, action: { hang: true } }] });
    using call = loop(machine, command);
    await machine.met(4);

    call.kill('SIGTERM');
    const early = await Promise.race([call.ended, new Promise((resolve) => setTimeout(resolve, 200))]);
    call.kill('SIGKILL');

    expect(early).toBeUndefined();
    expect(await call.ended).toMatchObject({ signal: 'SIGKILL', stdout: '0\n0\n0\n' });
  });

  it('prints nonsense in one round and is well in the next', async () => {
    using machine = new SimulatedMachine();
    machine.setFaults({ rules: [{ match: { args: '--query-gpu' }, afterMatches: 1, times: 1, action: { stdout: '[Unknown Error]\n' } }] });
    using call = loop(machine, command);

    await until(() => lines(call).length > 3);

    expect(lines(call).slice(0, 4)).toEqual(['0', '[Unknown Error]', '0', '0']);
  });

  it('ends when nobody reads it any more', async () => {
    using machine = new SimulatedMachine();
    using call = loop(machine, command);
    await until(() => lines(call).length > 1);

    call.stopReading();

    expect((await call.ended).code).toBe(141);
  });

  it('keeps a mode change that needs a reset pending, unless told not to count', async () => {
    using machine = new SimulatedMachine({ model: 'a30-24gb' });
    using call = loop(machine, command);
    await until(() => lines(call).length > 1);

    machine.run('-mig 1');
    expect(machine.state().gpus[0]).toMatchObject({ migCurrent: false, migPending: true });
    machine.setFaults({ behaviour: { ignoreOtherNvidiaSmi: true } });
    machine.run('-mig 1');
    expect(machine.state().gpus[0]).toMatchObject({ migCurrent: true, migPending: true });
  });
});
