// Of all that a machine full of containers lists, what belongs to the machine. Keeps the number of series bounded.
import type { Systeminformation } from 'systeminformation';
import type { HostFacts } from '../app/host-telemetry.ts';

const seriesMax = 32;

/** One end of the cable into a container, and the bridges and tunnels between them. */
const virtualDevice = /^(lo|veth|docker|br-|virbr|cni|cali|flannel|cilium|lxc|tunl|vxlan|kube|nodelocaldns|dummy|tap|tun|ifb)/;

export function realDevices(names: readonly string[]): readonly string[] {
  // What is no plain name is no argument for a program either.
  return names.filter((name) => /^[\w.-]+$/.test(name) && !name.startsWith('-') && !virtualDevice.test(name)).slice(0, seriesMax);
}

/** Has no disk of its own, except that a container's root is one of these. */
const layered = /^(overlay|fuse\.|nsfs|autofs|efivarfs|ramfs)/;

/**
 * One a disk or share, at its shortest mount point: a bind mount, of which a kubelet makes hundreds, is the same disk again.
 * Empty ones, such as those that only the kernel fills, are left out.
 */
export function realFileSystems(listed: readonly Systeminformation.FsSizeData[]): HostFacts['fileSystems'] {
  const byDisk = new Map<string, Systeminformation.FsSizeData>();
  for (const one of listed) {
    if (!(one.size > 0) || one.fs.startsWith('/dev/loop') || (layered.test(one.type) && one.mount !== '/')) continue;
    const kept = byDisk.get(one.fs);
    if (kept === undefined || one.mount.length < kept.mount.length) byDisk.set(one.fs, one);
  }
  return [...byDisk.values()]
    .slice(0, seriesMax)
    .map(({ mount, type, size, available }) => ({ mountPoint: mount, type, sizeBytes: size, availableBytes: available }));
}
