// Which layout a chosen configuration asks of each GPU of a node.
import { computeSlicesOf } from '../profile.ts';
import { formatLayoutRequest, type LayoutRequest, sliceCountMax } from '../request.ts';
import type { PartedEntry, PartedFault, PartedFile, PartedPath } from './config.ts';
import { deviceIdsOf, parseDeviceId } from './device-ids.ts';
import { formatPartedProfile } from './profile.ts';

export interface PartedGpu {
  /** On its node. */
  readonly index: number;
  /** Product name as the driver prints it; a `device-filter` is judged by it. */
  readonly model: string;
  readonly migCapable: boolean;
}

export type SelectedParted =
  | {
      readonly kind: 'selected';
      /** By index; a GPU that is not in it is left as it is. */
      readonly requests: ReadonlyMap<number, LayoutRequest>;
      /** Indices that an entry names and the node does not have. */
      readonly absent: readonly number[];
    }
  | { readonly kind: 'no-such-config'; readonly names: readonly string[] }
  | { readonly kind: 'faults'; readonly faults: readonly PartedFault[] };

/**
 * Entries of one configuration that ask different things of one GPU are refused: mig-parted would carry out one after
 * the other, and then find that its own `assert` fails.
 */
export function selectParted(file: PartedFile, name: string, gpus: readonly PartedGpu[]): SelectedParted {
  const entries = file.configs.get(name);
  if (entries === undefined) return { kind: 'no-such-config', names: [...file.configs.keys()] };
  const path = ['mig-configs', name];
  const faults = entries.flatMap((entry, at) => faultsOf(entry, [...path, at]));
  const requests = new Map<number, LayoutRequest>();
  for (const gpu of gpus) {
    for (const [at, entry] of entries.entries()) {
      const match = matches(entry, gpu);
      if (match === 'no') continue;
      if (match === 'unknown') {
        const detail = `the PCI device id of GPU ${gpu.index} (${gpu.model}) is not known here; name it by 'devices' instead of 'device-filter'`;
        faults.push({ path: [...path, at, 'device-filter'], detail });
        continue;
      }
      if (!gpu.migCapable) {
        if (entry.migEnabled) faults.push({ path: [...path, at, 'mig-enabled'], detail: `GPU ${gpu.index} (${gpu.model}) has no MIG` });
        continue;
      }
      const request = requestOf(entry);
      const before = requests.get(gpu.index);
      if (before !== undefined && formatLayoutRequest(before) !== formatLayoutRequest(request))
        faults.push({
          path: [...path, at],
          detail: `asks ${formatLayoutRequest(request)} of GPU ${gpu.index}, of which an entry above asks ${formatLayoutRequest(before)}`,
        });
      else requests.set(gpu.index, request);
    }
  }
  if (faults.length > 0) return { kind: 'faults', faults };
  const named = new Set(entries.flatMap((entry) => (entry.devices === 'all' ? [] : entry.devices)));
  return {
    kind: 'selected',
    requests,
    absent: [...named].filter((index) => !gpus.some((gpu) => gpu.index === index)).sort((a, b) => a - b),
  };
}

/** What is well written and cannot be carried out all the same. */
function faultsOf(entry: PartedEntry, path: PartedPath): readonly PartedFault[] {
  const filters = entry.deviceFilter
    .filter((text) => parseDeviceId(text) === undefined)
    .map((text) => ({
      path: [...path, 'device-filter'],
      detail: `${JSON.stringify(text)} is not a PCI device id such as "0x233010DE" and matches nothing`,
    }));
  const counts = entry.counts.flatMap(({ profile, count }): readonly PartedFault[] => {
    const here = [...path, 'mig-devices', formatPartedProfile(profile)];
    if (profile.kind === 'part')
      return [
        {
          path: here,
          detail: `a slice is made with one compute instance of all its ${computeSlicesOf(profile.name)} compute slices; write ${profile.name}`,
        },
      ];
    return count > sliceCountMax ? [{ path: here, detail: `${count} are more than any GPU holds` }] : [];
  });
  return [...filters, ...counts];
}

function matches(entry: PartedEntry, gpu: PartedGpu): 'yes' | 'no' | 'unknown' {
  if (entry.devices !== 'all' && !entry.devices.includes(gpu.index)) return 'no';
  if (entry.deviceFilter.length === 0) return 'yes';
  const own = deviceIdsOf(gpu.model);
  // Such a filter means products that can be cut.
  if (own === undefined) return gpu.migCapable ? 'unknown' : 'no';
  return entry.deviceFilter.some((text) => own.includes(parseDeviceId(text) ?? '')) ? 'yes' : 'no';
}

function requestOf(entry: PartedEntry): LayoutRequest {
  if (!entry.migEnabled) return { kind: 'whole' };
  if (entry.placements !== undefined) return { kind: 'mig', fixed: entry.placements, anywhere: [] };
  const anywhere = entry.counts.flatMap(({ profile, count }) => Array.from({ length: Math.min(count, sliceCountMax) }, () => profile.name));
  return { kind: 'mig', fixed: [], anywhere };
}
