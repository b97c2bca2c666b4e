import { type ApplyRequest, ApplyRequestSchema, type DesiredAllocationSchema, type DesiredGpuSchema } from '@astrago/proto/agent';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { DesiredAllocation, Order, OrderContent } from '../app/desired-state.ts';

export function orderToWire(order: Order): ApplyRequest {
  return create(ApplyRequestSchema, {
    desired: {
      epoch: BigInt(order.epoch),
      generation: BigInt(order.generation),
      gpus: order.content.gpus.map(gpuToWire),
      allocations: order.content.allocations.map(allocationToWire),
    },
  });
}

function gpuToWire({ uuid, layout }: OrderContent['gpus'][number]): MessageInitShape<typeof DesiredGpuSchema> {
  if (layout.kind === 'whole') return { uuid, layout: { case: 'whole', value: {} } };
  return { uuid, layout: { case: 'mig', value: { slices: layout.slices.map(({ profile, start }) => ({ profile, start })) } } };
}

function allocationToWire(allocation: DesiredAllocation): MessageInitShape<typeof DesiredAllocationSchema> {
  const { id, workload, workspace, intent } = allocation;
  const devices = allocation.devices.map(({ gpu, slice }) => ({
    gpuUuid: gpu,
    ...(slice === undefined ? {} : { slice: { profile: slice.profile, start: slice.start } }),
  }));
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
