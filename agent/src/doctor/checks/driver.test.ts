import { parseGpuUuid } from '@astrago/shared/domain/ids';
import { describe, expect, it } from 'vitest';
import { DriverFault, type ObservedGpu } from '../../app/ports.ts';
import type { SmiAnswer, Surroundings } from '../surroundings.ts';
import { filesOf, lines, machine } from '../testing/machine.ts';
import { checkDriver } from './driver.ts';

const ended = (stdout: string, exitCode = 0, ms = 50): SmiAnswer => ({ kind: 'ended', exitCode, stdout, stderr: '', ms });
const listing = 'GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-0d0831da-0c98-2717-6446-8acd91d39b65)\n';
const version =
  'NVIDIA-SMI version  : 590.48.01\nNVML version        : 590.48\nDRIVER version      : 590.48.01\nCUDA Version        : 13.1\n';

function answering(replies: Readonly<Record<string, SmiAnswer>>): { readonly smi: Surroundings['smi']; readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    smi: (args) => {
      asked.push(args.join(' '));
      const key = Object.keys(replies).find((one) => args.join(' ').startsWith(one));
      return Promise.resolve(key === undefined || replies[key] === undefined ? ended('not recognized\n', 2) : replies[key]);
    },
  };
}

function gpu(more: Partial<ObservedGpu>): ObservedGpu {
  const uuid = parseGpuUuid('GPU-0d0831da-0c98-2717-6446-8acd91d39b65');
  if (uuid === undefined) throw new Error('not a UUID');
  return {
    uuid,
    index: 0,
    model: 'NVIDIA H100 80GB HBM3',
    pciBusId: '00000000:01:00.0',
    memoryMiB: 81559,
    migCapable: true,
    migEnabled: false,
    migPending: undefined,
    profiles: [],
    slices: [],
    ...more,
  };
}

const topology = () => Promise.resolve([{ index: 0, nvlinks: [], numaNode: 0 }]);
const connected = 'ok topology: 1 GPU, no NVLink, NUMA node 0';

describe('the driver', () => {
  const fine = { '-L': ended(listing), '--version': ended(version), '--query-gpu': ended('0, Enabled, Default\n') };

  it('that is well is said to be', async () => {
    const { smi, asked } = answering(fine);
    const driver = {
      topology,
      observe: () => Promise.resolve({ driverVersion: '590.48.01', gpus: [gpu({}), gpu({ index: 1, migCapable: false })] }),
    };

    expect(lines(await checkDriver(machine({ smi, driver })))).toEqual([
      'ok nvidia-smi: answers in 0.05 s',
      'ok driver: 590.48.01, CUDA 13.1',
      'ok gpus: 1 listed',
      'ok persistence-mode: on',
      'ok compute-mode: default',
      'ok mig: off on GPU 0, not offered by GPU 1',
      connected,
    ]);
    expect(asked).toEqual(['-L', '--version', '--query-gpu=index,persistence_mode,compute_mode --format=csv,noheader']);
  });

  it.each([
    [{ kind: 'not-started', reason: 'spawn x ENOENT' }, 'problem nvidia-smi: nvidia-smi cannot be started (spawn x ENOENT)'],
    [{ kind: 'given-up', ms: 20_000 }, 'problem nvidia-smi: nvidia-smi -L did not end within 20.0 s'],
    [
      ended('Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.1\n', 18),
      'problem driver: kernel module and library are of different versions (Failed to initialize NVML: Driver/library version mismatch)',
    ],
    [
      ended("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", 9),
      "problem driver: the driver is not loaded (NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.)",
    ],
    [
      ended("NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.\n", 12),
      "problem driver: the driver's library is missing (NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.)",
    ],
    [
      ended('Failed to initialize NVML: Insufficient Permissions\n', 4),
      'problem driver: this user may not ask the driver (Failed to initialize NVML: Insufficient Permissions)',
    ],
    [ended('', 255), 'problem nvidia-smi: nvidia-smi -L ended with 255 ()'],
  ] satisfies readonly (readonly [SmiAnswer, string])[])('that does not list its GPUs is asked nothing more (%#)', async (answer, line) => {
    const { smi, asked } = answering({ ...fine, '-L': answer });

    expect(lines(await checkDriver(machine({ smi })))).toEqual([line]);
    expect(asked).toEqual(['-L']);
  });

  it('is told apart from its GPUs: none, and lost ones', async () => {
    const none = answering({ ...fine, '-L': ended('No devices were found\n', 6) });
    expect(lines(await checkDriver(machine({ smi: none.smi })))).toContain('warning gpus: the driver lists none');
    const lost = answering({
      ...fine,
      '-L': ended(`${listing}Unable to determine the device handle for GPU1: 0000:02:00.0: Unknown Error\n`),
    });
    expect(lines(await checkDriver(machine({ smi: lost.smi })))).toContain(
      'problem gpus: 1 listed, 1 lost (Unable to determine the device handle for GPU1: 0000:02:00.0: Unknown Error)',
    );
  });

  it('that is slow, exclusive, prohibited, or waits for a reset is said to be', async () => {
    const { smi } = answering({
      ...fine,
      '-L': ended(listing, 0, 4321),
      '--query-gpu': ended('0, Disabled, Exclusive_Process\n1, Enabled, Prohibited\n'),
    });
    const driver = { topology, observe: () => Promise.resolve({ driverVersion: undefined, gpus: [gpu({ migPending: true })] }) };

    expect(lines(await checkDriver(machine({ smi, driver })))).toEqual([
      'warning nvidia-smi: takes 4.3 s for a listing',
      'ok driver: 590.48.01, CUDA 13.1',
      'ok gpus: 1 listed',
      'warning persistence-mode: off on GPU 0, so the driver starts anew for each command',
      'problem compute-mode: prohibited on GPU 1, so nothing can compute there',
      'warning mig: off on GPU 0; another mode is pending on GPU 0',
      connected,
    ]);
  });

  it('of another version than its kernel module is found by the numbers', async () => {
    const files = filesOf({
      '/proc/driver/nvidia/version': 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.82.07  Wed Aug 27\nGCC version: 13\n',
    });
    expect(lines(await checkDriver(machine({ smi: answering(fine).smi, files })))).toContain(
      'problem driver: kernel module 580.82.07, library 590.48.01',
    );
  });

  it('that hangs in the listing of its slices is a problem', async () => {
    const driver = { topology, observe: () => Promise.reject(new DriverFault('timed-out', { command: ['mig', '-lgi'] })) };
    expect(lines(await checkDriver(machine({ smi: answering(fine).smi, driver }))).at(-1)).toBe(
      'problem mig: a listing does not end (timed-out: nvidia-smi mig -lgi)',
    );
  });

  it('that knows few commands gives what it can', async () => {
    const driver = {
      topology: () => Promise.reject(new DriverFault('failed', { command: ['topo', '-m'], output: 'not recognized' })),
      observe: () => Promise.reject(new DriverFault('failed', { command: ['--query-gpu'], output: 'not recognized' })),
    };
    expect(lines(await checkDriver(machine({ smi: answering({ '-L': ended(listing) }).smi, driver })))).toEqual([
      'ok nvidia-smi: answers in 0.05 s',
      'unknown driver: its version was not told',
      'ok gpus: 1 listed',
      'unknown persistence-mode: the driver does not tell',
      'unknown compute-mode: the driver does not tell',
      'unknown mig: the GPUs could not be listed (failed: nvidia-smi --query-gpu: not recognized)',
      'unknown topology: the driver does not tell how its GPUs are connected (failed: nvidia-smi topo -m: not recognized)',
    ]);
  });
});
