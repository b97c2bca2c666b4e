import {
  type AllocatedDeviceSchema,
  type ApplyRequest,
  ApplyRequestSchema,
  type DesiredAllocationSchema,
  type DesiredGpuSchema,
  type EnforcementPolicySchema,
  EnforcementMode as WireMode,
} from '@astrago/proto/agent';
import type { EnforcementMode, EnforcementPolicy } from '@astrago/shared/domain/enforcement';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { AllocatedDevice, DeviceShare } from '#core/cluster/records';
import type { DesiredAllocation, Order, OrderContent } from '../app/desired-state.ts';

/** @param enforcement what nodes do about processes that are not where they belong; the same in the whole life of a controller. */
export function orderToWire(order: Order, enforcement: EnforcementPolicy | undefined): ApplyRequest {
  return create(ApplyRequestSchema, {
    desired: {
      epoch: BigInt(order.epoch),
      generation: BigInt(order.generation),
      gpus: order.content.gpus.map(gpuToWire),
      allocations: order.content.allocations.map(allocationToWire),
      ...(enforcement === undefined ? {} : { enforcement: policyToWire(enforcement) }),
    },
  });
}

const wireModes: Readonly<Record<EnforcementMode, WireMode>> = {
  observe: WireMode.OBSERVE,
  notify: WireMode.NOTIFY,
  terminate: WireMode.TERMINATE,
};

function policyToWire(policy: EnforcementPolicy): MessageInitShape<typeof EnforcementPolicySchema> {
  return {
    foreignProcess: wireModes[policy.foreignProcess],
    outsideAllocation: wireModes[policy.outsideAllocation],
    memoryOverShare: wireModes[policy.memoryOverShare],
    graceSeconds: policy.graceSeconds,
  };
}

function gpuToWire({ uuid, layout }: OrderContent['gpus'][number]): MessageInitShape<typeof DesiredGpuSchema> {
  if (layout.kind === 'whole') return { uuid, layout: { case: 'whole', value: {} } };
  return { uuid, layout: { case: 'mig', value: { slices: layout.slices.map(({ profile, start }) => ({ profile, start })) } } };
}

function deviceToWire({ gpu, slice, share }: AllocatedDevice): MessageInitShape<typeof AllocatedDeviceSchema> {
  return {
    gpuUuid: gpu,
    ...(slice === undefined ? {} : { slice: { profile: slice.profile, start: slice.start } }),
    ...(share === undefined ? {} : { share: shareToWire(share) }),
  };
}

function shareToWire({ by, milli, memoryMiB }: DeviceShare): NonNullable<MessageInitShape<typeof AllocatedDeviceSchema>['share']> {
  switch (by) {
    case 'mps':
      return { case: 'mps', value: { milli, ...(memoryMiB === undefined ? {} : { memoryMib: memoryMiB }) } };
    case 'time-slicing':
      return { case: 'timeSliced', value: { milli } };
    default:
      return by satisfies never;
  }
}

function allocationToWire(allocation: DesiredAllocation): MessageInitShape<typeof DesiredAllocationSchema> {
  const { id, workload, workspace, intent } = allocation;
  const devices = allocation.devices.map(deviceToWire);
  const base = { id, workload, workspace, devices };
  if (intent.kind === 'stop') return { ...base, intent: { case: 'stop', value: { graceSeconds: intent.graceSeconds } } };
  const { command, environment, workingDirectory } = intent;
  return {
    ...base,
    intent: {
      case: 'run',
      value: { command: [...command], environment: { ...environment }, ...(workingDirectory === undefined ? {} : { workingDirectory }) },
    },
  };
}
