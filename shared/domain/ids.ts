// The registry of ids. A brand is only as good as its single door: the cast lives beside the
// pattern that was checked, and nowhere else.
declare const brand: unique symbol;
export type Id<Name extends string> = string & { readonly [brand]: Name };

/** A machine with an agent; a DNS label or name. */
export type NodeName = Id<'Node'>;
/** A physical GPU, `GPU-` and a UUID as the driver prints it. */
export type GpuUuid = Id<'Gpu'>;
/** What a submitter calls the work; a DNS label, unique among the work of a workspace that has not ended. */
export type WorkloadName = Id<'WorkloadName'>;
/** Made by the controller, never used twice. */
export type WorkloadId = Id<'Workload'>;
/** The promise that ties a workload to devices on one node; made by the controller, never used twice. */
export type AllocationId = Id<'Allocation'>;
/** A team's place; a DNS label. */
export type WorkspaceName = Id<'Workspace'>;
/** What an admin calls nodes that are kept for a workspace for a time; a DNS label. */
export type ReservationName = Id<'Reservation'>;

const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const dnsName = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
const gpuUuid = /^GPU-[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/;
const madeId = /^[a-z]{1,8}_[0-9A-Za-z]{8,40}$/;

export function parseNodeName(text: string): NodeName | undefined {
  return dnsName.test(text) ? (text as NodeName) : undefined;
}

export function parseGpuUuid(text: string): GpuUuid | undefined {
  return gpuUuid.test(text) ? (text as GpuUuid) : undefined;
}

export function parseWorkloadName(text: string): WorkloadName | undefined {
  return label.test(text) ? (text as WorkloadName) : undefined;
}

export function parseWorkspaceName(text: string): WorkspaceName | undefined {
  return label.test(text) ? (text as WorkspaceName) : undefined;
}

export function parseReservationName(text: string): ReservationName | undefined {
  return label.test(text) ? (text as ReservationName) : undefined;
}

export function parseWorkloadId(text: string): WorkloadId | undefined {
  return madeId.test(text) ? (text as WorkloadId) : undefined;
}

export function parseAllocationId(text: string): AllocationId | undefined {
  return madeId.test(text) ? (text as AllocationId) : undefined;
}
