import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createReplay } from '../src/create.ts';
import { recorded } from './recorded.ts';
import { type Ran, type Running, running, SimulatedMachine, until } from './simulated-machine.ts';

const fields = 'index,uuid,name,memory.total,memory.used,utilization.gpu,mig.mode.current';

interface Answered {
  readonly command: string;
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function asked(machine: SimulatedMachine, commands: readonly string[]): readonly Answered[] {
  return commands.map((command) => ({ command, ...machine.run(command) }));
}

/** A bundle of what a machine answered, and its replay. */
class Replayed implements Disposable {
  readonly #root = mkdtempSync(join(tmpdir(), 'replay-'));
  readonly nvidiaSmi: string;

  constructor(answers: readonly Answered[]) {
    const bundle = join(this.#root, 'bundle');
    mkdirSync(join(bundle, 'files'), { recursive: true });
    const listed = answers.map(({ command, code, stdout, stderr }, n) => {
      writeFileSync(join(bundle, 'files', `${n}.out`), stdout);
      writeFileSync(join(bundle, 'files', `${n}.err`), stderr);
      return { args: command.split(' '), exitCode: code, stdout: `files/${n}.out`, stderr: `files/${n}.err` };
    });
    writeFileSync(join(bundle, 'manifest.json'), JSON.stringify({ version: 1, commands: listed }));
    this.nvidiaSmi = createReplay({ directory: join(this.#root, 'machine'), bundle }).nvidiaSmi;
  }

  run(command: string): Ran {
    const ran = spawnSync(this.nvidiaSmi, command.split(' '), { encoding: 'utf8' });
    return { code: ran.status, signal: ran.signal, stdout: ran.stdout, stderr: ran.stderr };
  }

  start(command: string): Running {
    return running(spawn(this.nvidiaSmi, command.split(' '), { stdio: ['ignore', 'pipe', 'pipe'] }));
  }

  [Symbol.dispose](): void {
    rmSync(this.#root, { recursive: true, force: true });
  }
}

describe('a replay', () => {
  it('answers what was recorded, errors included, and refuses anything else as an unknown option', () => {
    using machine = new SimulatedMachine({ gpuCount: 2 });
    using replay = new Replayed(asked(machine, ['-L', 'mig -lgi', '--help-query-gpu']));

    expect(replay.run('-L')).toEqual(machine.run('-L'));
    expect(replay.run('mig -lgi')).toMatchObject({ code: 6, stdout: 'No MIG-enabled devices found.\n' });
    expect(replay.run('--help-query-gpu').stdout).toBe(machine.run('--help-query-gpu').stdout);
    const unknown = {
      code: 2,
      stdout: expect.stringMatching(/^ERROR: Option .* is not recognized\. Please run 'nvidia-smi -h' for help\.\n$/),
    };
    expect(replay.run('-q -x')).toMatchObject(unknown);
    expect(replay.run('-mig 1')).toMatchObject(unknown);
  });

  it('takes fields out of a recorded table, in any order, with or without header and units', () => {
    using machine = new SimulatedMachine({ gpuCount: 2 });
    using replay = new Replayed(asked(machine, ['-L', `--query-gpu=${fields} --format=csv`]));
    const same = (command: string): void => expect(replay.run(command)).toEqual(machine.run(command));

    same('--query-gpu=memory.total,index --format=csv');
    same('--query-gpu=uuid,memory.used,utilization.gpu --format=csv,noheader');
    same('--format=csv,noheader,nounits --query-gpu=name,memory.total');
    same('--query-gpu=memory.total,uuid --format=csv,nounits');
    expect(replay.run('--query-gpu=index,serial --format=csv')).toMatchObject({
      code: 2,
      stdout: 'Field "serial" is not a valid field to query.\n',
    });
  });

  it('makes up no header and no unit that was not recorded', () => {
    using machine = new SimulatedMachine();
    using replay = new Replayed(asked(machine, [`--query-gpu=${fields} --format=csv,noheader,nounits`]));

    expect(replay.run('--query-gpu=memory.total --format=csv,noheader,nounits').stdout).toBe('81559\n');
    expect(replay.run('--query-gpu=memory.total --format=csv,noheader').code).toBe(2);
    expect(replay.run('--query-gpu=memory.total --format=csv,nounits').code).toBe(2);
  });

  it('narrows to one GPU what was recorded for all', () => {
    using machine = new SimulatedMachine({ gpuCount: 3, migEnabled: true });
    machine.run('mig -cgi 19,9 -C');
    const [, second = ''] = machine.created.gpuUuids;
    using _workload = machine.attach({ CUDA_VISIBLE_DEVICES: second, FAKE_NVIDIA_SMI_MEMORY_MIB: '700' });
    const apps = '--query-compute-apps=gpu_uuid,pid,used_memory --format=csv';
    const commands = ['-L', '-q -x', `--query-gpu=${fields} --format=csv`, apps, 'mig -lgip', 'mig -lgipp', 'mig -lgi', 'mig -lci'];
    using replay = new Replayed(asked(machine, commands));

    for (const command of [
      '-L',
      '--query-gpu=memory.total,mig.mode.current --format=csv,noheader',
      apps,
      'mig -lgipp',
      'mig -lgi',
      'mig -lci',
      'mig -lgip',
    ]) {
      for (const id of [second, '1']) {
        const [first = '', ...rest] = command.split(' ');
        const narrowed = first === 'mig' ? `mig -i ${id} ${rest.join(' ')}` : `${command} -i ${id}`;
        expect(replay.run(narrowed), narrowed).toEqual(machine.run(narrowed));
      }
    }
    const xml = replay.run(`-q -x -i ${second}`).stdout;
    expect(xml.match(/<uuid>.*<\/uuid>/g)).toEqual([`<uuid>${second}</uuid>`]);
    expect(xml).toContain('<attached_gpus>3</attached_gpus>');
    expect(replay.run('-L -i 7')).toMatchObject({ code: 6, stdout: 'No devices were found\n' });
  });

  it('loops over the recorded answer, with one header', async () => {
    using machine = new SimulatedMachine();
    using replay = new Replayed(asked(machine, ['--query-gpu=index,name --format=csv']));
    const loop = replay.start('--query-gpu=name --format=csv -lms 20');

    await until(() => loop.output().split('\n').length > 4);
    loop.kill('SIGKILL');

    expect((await loop.ended).stdout).toMatch(/^name\n(NVIDIA H100 80GB HBM3\n){3}/);
  });

  it('answers from what a real H100 printed', () => {
    const capture = recorded('captures/linux-x86_64__nvidia-h100-mig__590.48.01.txt');
    const answers = [...capture.matchAll(/^# \$ nvidia-smi (-L|--query-gpu=\S+ --format=csv)\n#{80}\n([\s\S]*?)\n\n/gm)].map(
      ([, command = '', stdout = '']) => ({ command, code: 0, stdout: `${stdout}\n`, stderr: '' }),
    );
    using replay = new Replayed(answers);

    expect(replay.run('-L').stdout.match(/ {2}MIG /g)).toHaveLength(4);
    expect(
      replay.run('--query-gpu=index,memory.total,utilization.gpu,platform.chassis_serial_number,power.limit --format=csv').stdout,
    ).toBe(
      'index, memory.total [MiB], utilization.gpu [%], platform.chassis_serial_number, power.limit [W]\n0, 81559 MiB, [N/A], , 700.00 W\n',
    );
    expect(replay.run('--query-gpu=power.limit --format=csv,noheader,nounits -i 0').stdout).toBe('700.00\n');
  });

  it('takes no directory that is no bundle', () => {
    using machine = new SimulatedMachine();

    expect(() => createReplay({ directory: join(machine.created.directory, 'replay'), bundle: machine.created.directory })).toThrow(
      /manifest\.json/,
    );
  });
});
