import type { GpuUuid } from '@astrago/shared/domain/ids';
import type { GpuDriver } from './ports.ts';

/** The same driver, which tells of each reset that it has done. */
export function tellingResets<Driver extends GpuDriver>(driver: Driver, onReset: (gpu: GpuUuid) => void): Driver {
  const resetGpu: GpuDriver['resetGpu'] = async (gpu, signal) => {
    await driver.resetGpu(gpu, signal);
    onReset(gpu);
  };
  return new Proxy(driver, {
    get(target, name) {
      if (name === 'resetGpu') return resetGpu;
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}
