import { describe, expect, it } from 'vitest';
import { answerTo, comparable, recorded } from './recorded.ts';
import { SimulatedMachine } from './simulated-machine.ts';

/** Without the readings: what a sensor says differs, the cell it stands in does not. */
function withoutReadings(text: string): string {
  return comparable(text).replace(/(?<![\d.-]) *\d+(?=MiB \/|W \/|C {4}P0|%)/g, (number) => '#'.padStart(number.length));
}

describe('the boxes', () => {
  it('are those recorded on an H100 with four slices, driver 590', () => {
    using machine = new SimulatedMachine({ migEnabled: true });
    machine.run('mig -cgi 9,14,19,19 -C');

    const capture = withoutReadings(recorded('captures/linux-x86_64__nvidia-h100-mig__590.48.01.txt'));

    expect(capture).toContain(withoutReadings(machine.run('').stdout));
  });

  it('are those recorded on an A30, driver 535', () => {
    using machine = new SimulatedMachine({ model: 'a30-24gb', driverVersion: '535.183.01', migEnabled: true, persistence: false });
    machine.run('mig -cgi 14,14,5 -C');
    const transcript = recorded('transcripts/a30-535.183.01-lgipp-lgip-cgi-lgi-L-smi-lcip.txt');

    expect(withoutReadings(machine.run('').stdout)).toBe(withoutReadings(answerTo(transcript, '')));
  });

  it('say when MIG has no devices', () => {
    using machine = new SimulatedMachine({ migEnabled: true, driverVersion: '580.105.08' });
    const transcript = recorded('transcripts/rtx-pro-6000-maxq-580.105.08.txt');
    const part = machine.run('').stdout.split('\n\n')[1] ?? '';

    expect(part).toContain('No MIG devices found');
    expect(transcript).toContain(part);
  });
});

/** The elements of a document, by path, in order; text is left out. */
function skeleton(xml: string): readonly string[] {
  const path: string[] = [];
  const found: string[] = [];
  for (const [, close, name = ''] of xml.matchAll(/<(\/?)([a-zA-Z_]\w*)[^>]*>/g)) {
    if (close) path.pop();
    else {
      path.push(name);
      found.push(path.join('/'));
    }
  }
  return [...new Set(found)];
}

describe('-q -x', () => {
  const documents: Readonly<Record<string, readonly [string, string]>> = {
    'xml/k8s-test-infra-hw__qx-a100.xml': ['a100-40gb', '570.148.08'],
    'xml/k8s-test-infra-hw__qx-h100.xml': ['h100-80gb', '580.105.08'],
    'xml/k8s-test-infra-hw__qx-l40s.xml': ['l40s', '595.91.07'],
    'xml/k8s-test-infra-hw__qx-t4.xml': ['t4', '595.91.07'],
  };
  for (const [path, [model, driverVersion]] of Object.entries(documents)) {
    it(`has the elements of ${path}`, () => {
      using machine = new SimulatedMachine({ model, driverVersion });
      const document = recorded(path);

      const { stdout } = machine.run('-q -x');

      expect(skeleton(stdout)).toEqual(skeleton(document));
      expect(stdout.split('\n')[1]).toBe(document.split('\n')[1]);
      expect(stdout.length).toBeGreaterThan(document.length / 10);
    });
  }

  it('shows slices by instance id, with the figures of their GPU instance', () => {
    using machine = new SimulatedMachine({ model: 'h200-141gb', migEnabled: true });
    machine.run('mig -cgi 9');
    machine.run('mig -cci 0,1');

    const devices = machine.run('-q -x').stdout.match(/<mig_device>[\s\S]*?<\/mig_device>/g) ?? [];

    expect(devices).toHaveLength(2);
    for (const device of devices) expect(device).toContain('<total>71424 MiB</total>');
    expect(devices.map((device) => /<multiprocessor_count>(\d+)</.exec(device)?.[1])).toEqual(['16', '32']);
  });
});
