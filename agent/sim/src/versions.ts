import type { Machine } from './machine.ts';

const cudaByDriver: readonly (readonly [number, string])[] = [
  [610, '13.3'],
  [595, '13.2'],
  [590, '13.1'],
  [580, '13.0'],
  [575, '12.9'],
  [570, '12.8'],
  [565, '12.7'],
  [560, '12.6'],
  [555, '12.5'],
  [550, '12.4'],
  [545, '12.3'],
  [535, '12.2'],
  [530, '12.1'],
  [525, '12.0'],
];

/** The CUDA version that a driver branch brings. */
export function cudaVersion(driverMajor: number): string {
  return cudaByDriver.find(([major]) => driverMajor >= major)?.[1] ?? '11.6';
}

/** `nvidia-smi --version`; from 610 on the old words only point to the new ones. */
export function printVersions(machine: Machine): number {
  const { answer, driver } = machine;
  const cuda = cudaVersion(driver.major);
  answer.print(`NVIDIA-SMI version  : ${driver.version}`);
  answer.print(`NVML version        : ${driver.version.split('.').slice(0, 2).join('.')}`);
  if (driver.major < 610) {
    answer.print(`DRIVER version      : ${driver.version}`);
    answer.print(`CUDA Version        : ${cuda}`);
    return 0;
  }
  answer.print('DRIVER version      : Deprecated, see "KMD version" instead');
  answer.print('CUDA version        : Deprecated, see "CUDA UMD version" instead');
  answer.print(`KMD version         : ${driver.version}`);
  answer.print(`CUDA UMD version    : ${cuda}`);
  return 0;
}
