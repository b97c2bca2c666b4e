// On which NUMA node the kernel has put a GPU. Reads no device, so that one that hangs does not hang us.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NumaNodes } from '../app/topology.ts';

const busId = /^([0-9a-f]{4,8}):([0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f])$/i;
const nvidia = '0x10de';

/** `root` is where the file system of the host is. */
export function numaNodes({ root }: { readonly root: string }): NumaNodes {
  return {
    async of(pciBusId) {
      const [, domain, rest] = busId.exec(pciBusId) ?? [];
      if (domain === undefined || rest === undefined) return undefined;
      // The driver prints eight digits of the domain, the kernel four or what it takes.
      const name = `${Number.parseInt(domain, 16).toString(16).padStart(4, '0')}:${rest.toLowerCase()}`;
      const read = (file: string): Promise<string> =>
        readFile(join(root, 'sys/bus/pci/devices', name, file), 'latin1').then(
          (text) => text.trim(),
          () => '',
        );
      // A simulated GPU may be said to be where this machine has something else.
      if ((await read('vendor')) !== nvidia) return undefined;
      const node = await read('numa_node');
      // -1 is the kernel's word for not knowing.
      return /^\d{1,4}$/.test(node) ? Number(node) : undefined;
    },
  };
}
