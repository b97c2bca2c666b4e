import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createReplay } from '@astrago/sim';
import { fixture, sections, transcript } from '../smi/testing/fixtures.ts';

export interface RecordedCommand {
  readonly args: readonly string[];
  readonly stdout?: string;
  readonly stderr?: string;
  readonly exitCode?: number;
}

/** Makes an executable in `directory` that answers only these commands; its path. */
export function replayingSmi(directory: string, commands: readonly RecordedCommand[]): string {
  mkdirSync(join(directory, 'files'), { recursive: true });
  const recorded = commands.map(({ args, stdout = '', stderr = '', exitCode = 0 }, at) => {
    const [out, err] = [`files/${at}.out`, `files/${at}.err`];
    writeFileSync(join(directory, out), stdout);
    writeFileSync(join(directory, err), stderr);
    return { args, exitCode, stdout: out, stderr: err };
  });
  writeFileSync(join(directory, 'manifest.json'), JSON.stringify({ version: 1, commands: recorded }));
  return createReplay({ directory: join(directory, 'replay'), bundle: directory }).nvidiaSmi;
}

/** A folder of recordings by sub-command; what each file holds is told by its name. */
export function ofPrickle(name: string): readonly RecordedCommand[] {
  const read = (file: string): string => fixture(`prickle/${name}/${file}`);
  const apps = ['gpu_uuid', 'pid', 'process_name', 'used_gpu_memory'];
  const gpus = ['index', 'uuid', 'name', 'utilization.gpu', 'memory.used', 'memory.total', 'temperature.gpu', 'power.draw'];
  const none = /No .* found/;
  const listing = (args: readonly string[], file: string): RecordedCommand => ({
    args,
    stdout: read(file),
    exitCode: none.test(read(file)) ? 6 : 0,
  });
  return [
    { args: ['-L'], stdout: read('gpus.txt') },
    { args: [`--query-gpu=${gpus.join(',')}`, '--format=csv,noheader,nounits'], stdout: read('query-gpu.csv') },
    { args: [`--query-compute-apps=${apps.join(',')}`, '--format=csv,noheader,nounits'], stdout: read('query-compute-apps.csv') },
    listing(['mig', '-lgi'], 'mig-gi.txt'),
    listing(['mig', '-lci'], 'mig-ci.txt'),
    listing(['mig', '-lgip'], 'mig-profiles.txt'),
    { args: [], stdout: read('smi.txt') },
  ];
}

/** A capture of one machine, `captures/...`, cut at its commands; of a command that was taken twice, the first. */
export function ofCapture(file: string): readonly RecordedCommand[] {
  return sections(file).flatMap(({ command, text }) => {
    const words = command.split(' ').filter((word) => word !== '');
    return words[0] === 'nvidia-smi' ? [{ args: words.slice(1), stdout: text }] : [];
  });
}

export function ofXml(file: string): readonly RecordedCommand[] {
  return [{ args: ['-q', '-x'], stdout: fixture(file) }];
}

/** What a person typed and saw. */
export function ofTranscript(file: string): readonly RecordedCommand[] {
  return transcript(`transcripts/${file}`).map(({ command, text }) => ({
    args: command.split(' ').filter((word) => word !== ''),
    stdout: text,
  }));
}
