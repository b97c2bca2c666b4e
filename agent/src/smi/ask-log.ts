import { DriverFault } from '../app/ports.ts';
import { type Asking, isHang } from './asking.ts';
import { type DeviceLog, parseDeviceLog } from './parse-device-log.ts';
import { parseDeviceText } from './parse-device-text.ts';
import type { Parsed } from './parsed.ts';
import type { Scope } from './scope.ts';

/** How nvidia-smi says, with an error exit, that it runs and there is no GPU. */
export const noDevices = /No devices were found/i;

/** This question has no answer here, which says nothing of another one. */
export function isRefusal(fault: DriverFault): boolean {
  return fault.code === 'failed' || fault.code === 'not-found' || fault.code === 'unreadable-output';
}

/** `-q -x`, or where that is refused the same as text. */
export async function askLog(asking: Asking, scope: Scope, signal: AbortSignal): Promise<DeviceLog> {
  const ask = (args: readonly string[], read: (text: string) => Parsed<DeviceLog>): Promise<DeviceLog> =>
    asking.ask(
      { args: [...scope.select, ...args], gpu: scope.gpu, read, none: { text: noDevices, value: { driverVersion: undefined, gpus: [] } } },
      signal,
    );
  try {
    return await ask(['-q', '-x'], parseDeviceLog);
  } catch (fault) {
    if (!(fault instanceof DriverFault) || !isRefusal(fault) || signal.aborted) throw fault;
    try {
      return await ask(['-q'], parseDeviceText);
    } catch (second) {
      throw second instanceof DriverFault && isHang(second) ? second : fault;
    }
  }
}
