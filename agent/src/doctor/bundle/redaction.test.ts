import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixture, sections } from '../../smi/testing/fixtures.ts';
import { createRedaction } from './redaction.ts';

/** Made here: a path of a person stands in no file of ours. */
const home = (name: string): string => ['', 'home', name].join('/');
const salt = Buffer.from('a salt');
const xml = ['-q', '-x'];

function redactionOf(outputs: readonly { readonly args: readonly string[]; readonly stdout: string }[], hostNames: readonly string[] = []) {
  return createRedaction({ outputs, hostNames, salt });
}

const anyUuid = fc.uuid().filter((uuid) => !/^[0-]+$/.test(uuid));

describe('what is replaced in a bundle', () => {
  it('is every UUID, the same by the same in every form, and none of the rest', () => {
    fc.assert(
      fc.property(anyUuid, anyUuid, (gpu, other) => {
        fc.pre(gpu !== other);
        const redaction = redactionOf([]);
        const text = `GPU-${gpu} MIG-${other} MIG-GPU-${gpu}/7/0 (UUID: ${gpu.toUpperCase()})`;
        const [first, second, old, upper] = redaction.output(['-L'], text).split(' (UUID: ')[0]?.split(' ') ?? [];
        expect(redaction.output(['-L'], text)).toHaveLength(text.length);
        expect(first).toMatch(/^GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
        expect(redaction.output(['-L'], text)).not.toContain(gpu);
        expect(old).toBe(`MIG-${first}/7/0`);
        expect(second?.slice(4)).not.toBe(first?.slice(4));
        expect(upper).toBeUndefined();
        expect(redaction.output(['-L'], text)).toContain(`(UUID: ${first?.slice(4).toUpperCase()})`);
      }),
    );
  });

  it('differs from bundle to bundle', () => {
    const text = 'GPU-0d0831da-0c98-2717-6446-8acd91d39b65';
    const of = (own: string): string => createRedaction({ outputs: [], hostNames: [], salt: Buffer.from(own) }).output(['-L'], text);
    expect(of('one')).not.toBe(of('two'));
  });

  it('is a serial number wherever it stands, once one output has named it', () => {
    const outputs = [
      {
        args: xml,
        stdout: '<serial>1654923010042</serial>\n<chassis_serial_number>N/A</chassis_serial_number>\n<pdi>0x8a0f00d1c2b3a495</pdi>',
      },
      { args: ['--query-gpu=name,serial', '--format=csv'], stdout: 'name, serial\nNVIDIA A10, 1324021000007\nNVIDIA T4, [N/A]\n' },
      { args: ['-q'], stdout: '    Serial Number                     : 1654923010042\n    Minor Number : 0\n' },
    ];
    const redaction = redactionOf(outputs);
    const all = outputs.map(({ args, stdout }) => redaction.output(args, stdout));

    for (const secret of ['1654923010042', '1324021000007', '8a0f00d1c2b3a495']) expect(all.join()).not.toContain(secret);
    const replaced = /<serial>(\d{13})<\/serial>/.exec(all[0] ?? '')?.[1];
    expect(all[2]).toBe(outputs[2]?.stdout.replace('1654923010042', replaced ?? ''));
    expect(all[1]).toMatch(/^name, serial\nNVIDIA A10, \d{13}\nNVIDIA T4, \[N\/A\]\n$/);
    expect(all[0]).toContain('<chassis_serial_number>N/A<');
  });

  it('leaves of a process the name of its program', () => {
    const redaction = redactionOf([]);
    const apps = ['--query-compute-apps=gpu_name,pid,process_name,used_gpu_memory', '--format=csv'];
    expect(
      redaction.output(
        apps,
        `gpu_name, pid, process_name, used_gpu_memory [MiB]\n-, 7, ${home('ada')}/bin/train --key=hidden, --more, 10 MiB\n`,
      ),
    ).toBe('gpu_name, pid, process_name, used_gpu_memory [MiB]\n-, 7, train, 10 MiB\n');
    expect(redaction.output(xml, '  <process_name>/usr/bin/python3 -c "hidden"</process_name>\n')).toBe(
      '  <process_name>python3</process_name>\n',
    );
    expect(redaction.output(['-q'], '            Name                  : /opt/tools/memhog hidden\n    Product Name : NVIDIA A10\n')).toBe(
      '            Name                  : memhog\n    Product Name : NVIDIA A10\n',
    );
  });

  it('is the name of the machine and of a person in what we wrote ourselves', () => {
    const redaction = redactionOf([], ['gpu-17.cluster.example', 'vm']);
    expect(redaction.text(`"node":"gpu-17.cluster.example" on gpu-17, vm; ${home('ada')}/x and vmlinuz`)).toBe(
      `"node":"node" on node, node; ${home('user')}/x and vmlinuz`,
    );
  });

  it('is the name of the machine, however short, where a driver prints it', () => {
    const redaction = redactionOf([]);
    const query = ['--query-gpu=name,uuid,hostname', '--format=csv'];
    expect(redaction.output(query, 'name, uuid, hostname\nNVIDIA A10, with comma, -, vm\nNVIDIA T4, -, [N/A]\n')).toMatch(
      /^name, uuid, hostname\nNVIDIA A10, with comma, -, (?!vm)[a-z]{2}\nNVIDIA T4, -, \[N\/A\]\n$/,
    );
    expect(redaction.output(xml, '<hostname>vm</hostname>')).toMatch(/^<hostname>(?!vm)[a-z]{2}<\/hostname>$/);
  });

  it('does not touch what a driver prints about no machine in particular', () => {
    for (const { command, text } of sections('captures/linux-x86_64__nvidia-h100-80gb-hbm3__590.48.01.txt')) {
      if (!/--help-query-gpu$|-h$|--version$/.test(command)) continue;
      expect(redactionOf([], ['vm']).output(command.split(' ').slice(1), text)).toBe(text);
    }
    const log = fixture('xml/k8s-test-infra-hw__qx-h100.xml');
    const lines = redactionOf([{ args: xml, stdout: log }])
      .output(xml, log)
      .split('\n');
    const changed = log.split('\n').filter((line, at) => line !== lines[at]);
    for (const line of changed) expect(line).toMatch(/<(uuid|serial|pdi|process_name|\w*serial_number|\w*[Uu]uid|\w*guid)>/);
  });
});
