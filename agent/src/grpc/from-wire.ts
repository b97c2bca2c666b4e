// Generated messages stop here: an order becomes domain types, or one sentence why it is not one.

import * as wire from '@astrago/proto/agent';
import type { EnforcementMode, EnforcementPolicy } from '@astrago/shared/domain/enforcement';
import { parseAllocationId, parseGpuUuid } from '@astrago/shared/domain/ids';
import { parseProfileName } from '@astrago/shared/domain/mig/profile';
import type { WantedSlice } from '@astrago/shared/domain/mig/slice';
import type { AllocatedDevice, DesiredAllocation, DesiredGpu, Order, ResourceLimits, Share } from '#core/order';

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
    enforcement: message.enforcement === undefined ? undefined : policyFromWire(message.enforcement),
  };
}

function policyFromWire(message: wire.EnforcementPolicy): EnforcementPolicy {
  return {
    foreignProcess: modeFromWire(message.foreignProcess),
    outsideAllocation: modeFromWire(message.outsideAllocation),
    memoryOverShare: modeFromWire(message.memoryOverShare),
    graceSeconds: message.graceSeconds,
  };
}

function modeFromWire(mode: wire.EnforcementMode): EnforcementMode {
  // A mode of a later contract is not guessed at: nothing is ended for a word that is not understood.
  if (mode === wire.EnforcementMode.TERMINATE) return 'terminate';
  return mode === wire.EnforcementMode.NOTIFY ? 'notify' : 'observe';
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
    share: shareFromWire(message.share),
  };
}

function shareFromWire(share: wire.AllocatedDevice['share']): Share | undefined {
  switch (share.case) {
    case 'exclusiveProcess':
      return { kind: 'exclusive-process' };
    case 'mps':
      return { kind: 'mps', milli: share.value.milli, memoryMiB: share.value.memoryMib };
    case 'timeSliced':
      return { kind: 'time-sliced', milli: share.value.milli };
    case undefined:
      return undefined;
    default:
      return share satisfies never;
  }
}

function intentFromWire(message: wire.DesiredAllocation): DesiredAllocation['intent'] {
  switch (message.intent.case) {
    case 'run': {
      const { command, environment, workingDirectory, limits } = message.intent.value;
      return { kind: 'run', command, environment: { ...environment }, workingDirectory, limits: limitsFromWire(limits) };
    }
    case 'stop':
      return { kind: 'stop', graceSeconds: message.intent.value.graceSeconds };
    default:
      throw new UnreadableOrder(`allocation ${message.id} has no intent`);
  }
}

function limitsFromWire(limits: wire.ResourceLimits | undefined): ResourceLimits | undefined {
  if (limits === undefined) return undefined;
  return { cpuMilli: limits.cpuMilli, memoryMiB: limits.memoryMib, processes: limits.processes, openFiles: limits.openFiles };
}

function parsed<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new UnreadableOrder(`${what} is not one`);
  return value;
}
