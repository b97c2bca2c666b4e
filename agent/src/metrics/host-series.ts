import type { HostFacts } from '../app/host-telemetry.ts';
import type { Exposition, Family, FamilyType } from './exposition.ts';

function host<Label extends string = never>(
  name: string,
  help: string,
  labels: readonly Label[] = [],
  type: FamilyType = 'gauge',
): Family<Label> {
  return { name: `astrago_host_${name}`, type, help, labels };
}

const cpus = host('cpus', 'Logical processors of the machine');
const cpuSeconds = host('cpu_seconds_total', 'Time that the processors spent in each mode since boot', ['mode'], 'counter');
const load1 = host('load1', 'Runnable and blocked tasks, averaged over 1 minute');
const load5 = host('load5', 'Runnable and blocked tasks, averaged over 5 minutes');
const load15 = host('load15', 'Runnable and blocked tasks, averaged over 15 minutes');
const memoryTotal = host('memory_total_bytes', 'Memory of the machine');
const memoryAvailable = host('memory_available_bytes', "What new work may take without swapping, by the kernel's estimate");
const swapTotal = host('swap_total_bytes', 'Swap space of the machine');
const swapUsed = host('swap_used_bytes', 'Swap space in use');
const fileSystemSize = host('filesystem_size_bytes', 'Size of a file system on a disk', ['mountpoint', 'type']);
const fileSystemAvailable = host('filesystem_available_bytes', 'Room left for users without privileges', ['mountpoint', 'type']);
const diskRead = host('disk_read_bytes_total', 'Read from all disks with a mounted file system since boot', [], 'counter');
const diskWritten = host('disk_written_bytes_total', 'Written to all disks with a mounted file system since boot', [], 'counter');
const received = host('network_received_bytes_total', 'Received by a network device since boot', ['device'], 'counter');
const sent = host('network_sent_bytes_total', 'Sent by a network device since boot', ['device'], 'counter');
const receiveErrors = host('network_receive_errors_total', 'Errors of a network device while receiving since boot', ['device'], 'counter');
const sendErrors = host('network_send_errors_total', 'Errors of a network device while sending since boot', ['device'], 'counter');

export const hostFamilies: readonly Family<string>[] = [
  cpus,
  cpuSeconds,
  load1,
  load5,
  load15,
  memoryTotal,
  memoryAvailable,
  swapTotal,
  swapUsed,
  fileSystemSize,
  fileSystemAvailable,
  diskRead,
  diskWritten,
  received,
  sent,
  receiveErrors,
  sendErrors,
];

export function describeHost(out: Exposition, facts: HostFacts): void {
  const { processors, memory } = facts;
  out.add(cpus, {}, processors?.count);
  for (const [mode, seconds] of Object.entries(processors?.seconds ?? {})) out.add(cpuSeconds, { mode }, seconds);
  out.add(load1, {}, processors?.load[0]);
  out.add(load5, {}, processors?.load[1]);
  out.add(load15, {}, processors?.load[2]);
  out.add(memoryTotal, {}, memory?.totalBytes);
  out.add(memoryAvailable, {}, memory?.availableBytes);
  out.add(swapTotal, {}, memory?.swapTotalBytes);
  out.add(swapUsed, {}, memory?.swapUsedBytes);
  for (const { mountPoint, type, sizeBytes, availableBytes } of facts.fileSystems ?? []) {
    out.add(fileSystemSize, { mountpoint: mountPoint, type }, sizeBytes);
    out.add(fileSystemAvailable, { mountpoint: mountPoint, type }, availableBytes);
  }
  out.add(diskRead, {}, facts.disks?.readBytes);
  out.add(diskWritten, {}, facts.disks?.writtenBytes);
  for (const { device, receivedBytes, sentBytes, receiveErrors: inErrors, sendErrors: outErrors } of facts.networks ?? []) {
    out.add(received, { device }, receivedBytes);
    out.add(sent, { device }, sentBytes);
    out.add(receiveErrors, { device }, inErrors);
    out.add(sendErrors, { device }, outErrors);
  }
}
