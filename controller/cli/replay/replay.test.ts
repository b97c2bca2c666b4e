import { describe, expect, it } from 'vitest';
import { type Mapping, podToWorkload, runMs } from './pod-to-workload.ts';
import { parsePodTrace } from './pod-trace.ts';
import { type ProfileTable, parseProfileTable, profilesOfDevice, smallestFor } from './profile-sizes.ts';
import { spread } from './report.ts';

const header = 'name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time';
const h100 = profilesOfDevice({ computeSlices: 7, memoryMiB: 81_559 }) as ProfileTable;
const mapping: Mapping = { table: h100, workspace: 'default', prefix: undefined, respectModel: false, speed: 1000, minMs: 50, maxMs: 2000 };

describe('a pod trace', () => {
  it('is read by its header, in the order of creation, with what never ended left open', () => {
    const pods = parsePodTrace(`${header}\nb,1000,2048,1,460,V100M16|V100M32,LS,Running,20,50,30\na,500,1024,0,0,,BE,Pending,10,,\n`);
    expect(pods).toEqual([
      { name: 'a', cpuMilli: 500, memoryMiB: 1024, gpuCount: 0, gpuMilli: 0, models: [], createdSeconds: 10, ranSeconds: undefined },
      {
        name: 'b',
        cpuMilli: 1000,
        memoryMiB: 2048,
        gpuCount: 1,
        gpuMilli: 460,
        models: ['V100M16', 'V100M32'],
        createdSeconds: 20,
        ranSeconds: 20,
      },
    ]);
  });
  it.each([
    ['name,cpu_milli\na,1', 'line 1: no column memory_mib'],
    [`${header}\na,1,2`, 'line 2: 3 cells where the header has 11'],
    [`${header}\na,x,2,0,0,,BE,Running,1,2,1`, 'line 2: cpu_milli is "x", not a number'],
  ])('names the line at fault', (text, says) => expect(() => parsePodTrace(text)).toThrow(says));
});

describe('profiles of a device', () => {
  it.each([
    [7, 81_559, '1g.10gb 2g.20gb 3g.40gb 4g.40gb 7g.80gb'],
    [7, 40_960, '1g.5gb 2g.10gb 3g.20gb 4g.20gb 7g.40gb'],
    [7, 143_771, '1g.18gb 2g.35gb 3g.71gb 4g.71gb 7g.141gb'],
    [4, 24_576, '1g.6gb 2g.12gb 4g.24gb'],
    [4, 97_887, '1g.24gb 2g.48gb 4g.96gb'],
  ])('with %d compute slices and %d MiB are named as the driver does', (computeSlices, memoryMiB, names) => {
    expect(
      profilesOfDevice({ computeSlices, memoryMiB })
        ?.profiles.map((entry) => entry.profile)
        .join(' '),
    ).toBe(names);
  });
  it('can be given by hand', () => {
    expect(parseProfileTable('7g.80gb=7,1g.10gb=1')).toEqual({
      computeSlices: 7,
      profiles: [
        { profile: '1g.10gb', computeSlices: 1 },
        { profile: '7g.80gb', computeSlices: 7 },
      ],
    });
    expect(parseProfileTable('1g.10gb')).toBeUndefined();
  });
  it.each([
    [50, '1g.10gb'],
    [142, '1g.10gb'],
    [143, '2g.20gb'],
    [320, '3g.40gb'],
    [460, '4g.40gb'],
    [590, '7g.80gb'],
    [999, '7g.80gb'],
  ])('%d thousandths of a GPU need %s', (milli, profile) => {
    expect(smallestFor(milli, h100)).toBe(profile);
  });
});

describe('a pod as a workload', () => {
  const pod = {
    name: 'Openb_Pod',
    cpuMilli: 1,
    memoryMiB: 2,
    gpuCount: 1,
    gpuMilli: 460,
    models: ['T4'],
    createdSeconds: 0,
    ranSeconds: 1200,
  };

  it('is a slice for a share, whole GPUs for whole GPUs, and nothing for none', () => {
    expect(podToWorkload(pod, mapping)).toEqual({
      name: 'openb-pod',
      workspace: 'default',
      command: ['sleep', '1.200'],
      slice: '4g.40gb',
      cpuMilli: 1,
      memoryMiB: 2,
    });
    expect(podToWorkload({ ...pod, gpuCount: 8, gpuMilli: 1000 }, { ...mapping, prefix: 'r2', respectModel: true })).toMatchObject({
      name: 'r2-openb-pod',
      gpus: 8,
      model: 'T4',
    });
    expect(podToWorkload({ ...pod, gpuCount: 0, gpuMilli: 0 }, mapping)).not.toHaveProperty('gpus');
  });
  it('runs within the bounds', () => {
    expect([0, 1200, 10_000_000, undefined].map((ranSeconds) => runMs({ ranSeconds }, mapping))).toEqual([50, 1200, 2000, 2000]);
  });
});

describe('a spread', () => {
  it('takes the nearest rank', () => {
    expect(spread(Array.from({ length: 200 }, (_, index) => index + 1))).toEqual({ count: 200, p50: 100, p99: 198, max: 200 });
    expect(spread([7])).toEqual({ count: 1, p50: 7, p99: 7, max: 7 });
    expect(spread([])).toBeUndefined();
  });
});
