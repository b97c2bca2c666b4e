// Generated messages stop here: an order becomes domain types, or one sentence why it is not one.

import type * as wire from '@astrago/proto/agent';
import { parseAllocationId, parseGpuUuid } from '@astrago/shared/domain/ids';
import { parseProfileName } from '@astrago/shared/domain/mig/profile';
import type { WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { AllocatedDevice, DesiredAllocation, DesiredGpu, Order } from '#core/order';

/** The message is not an order. */
export class UnreadableOrder extends Error {
  override name = 'UnreadableOrder';
}

export function orderFromWire(message: wire.DesiredState | undefined): Order {
  if (message === undefined) throw new UnreadableOrder('no desired state was given');
  return {
    epoch: Number(message.epoch),
    generation: Number(message.generation),
    gpus: message.gpus.map(gpuFromWire),
    allocations: message.allocations.map(allocationFromWire),
  };
}

function gpuFromWire(message: wire.DesiredGpu): DesiredGpu {
  const uuid = parsed(parseGpuUuid(message.uuid), `GPU UUID ${message.uuid}`);
  switch (message.layout.case) {
    case 'whole':
      return { uuid, layout: { kind: 'whole' } };
    case 'mig':
      return { uuid, layout: { kind: 'mig', slices: message.layout.value.slices.map(sliceFromWire) } };
    default:
      throw new UnreadableOrder(`GPU ${uuid} is named without a layout`);
  }
}

function sliceFromWire(message: wire.WantedSlice): WantedSlice {
  return { profile: parsed(parseProfileName(message.profile), `profile ${message.profile}`), start: message.start };
}

function allocationFromWire(message: wire.DesiredAllocation): DesiredAllocation {
  const id = parsed(parseAllocationId(message.id), `allocation id ${message.id}`);
  return {
    id,
    workload: message.workload,
    workspace: message.workspace,
    devices: message.devices.map(deviceFromWire),
    intent: intentFromWire(message),
  };
}

function deviceFromWire(message: wire.AllocatedDevice): AllocatedDevice {
  return {
    gpu: parsed(parseGpuUuid(message.gpuUuid), `GPU UUID ${message.gpuUuid}`),
    slice: message.slice === undefined ? undefined : sliceFromWire(message.slice),
  };
}

function intentFromWire(message: wire.DesiredAllocation): DesiredAllocation['intent'] {
  switch (message.intent.case) {
    case 'run': {
      const { command, environment, workingDirectory } = message.intent.value;
      return { kind: 'run', command, environment: { ...environment }, workingDirectory };
    }
    case 'stop':
      return { kind: 'stop', graceSeconds: message.intent.value.graceSeconds };
    default:
      throw new UnreadableOrder(`allocation ${message.id} has no intent`);
  }
}

function parsed<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new UnreadableOrder(`${what} is not one`);
  return value;
}
