// Layouts as a mig-parted file: GPUs that are alike share an entry, as in mig-parted's own export.
import { formatLayout, inOrder, type Layout } from '../layout.ts';

/** `mig-parted`: counts, for that program and ours. `astrago`: with placements, for ours alone; see config.ts. */
export type PartedFormat = 'mig-parted' | 'astrago';

/** A value for a YAML or JSON writer. */
export interface PartedDocument {
  readonly version: 'v1';
  readonly 'mig-configs': Readonly<Record<string, readonly PartedDocumentEntry[]>>;
}

export interface PartedDocumentEntry {
  readonly devices: 'all' | readonly number[];
  readonly 'mig-enabled': boolean;
  readonly 'mig-devices'?: Readonly<Record<string, number>>;
  readonly 'mig-placements'?: readonly { readonly profile: string; readonly start: number }[];
}

export interface ExportedGpu {
  readonly index: number;
  readonly layout: Layout;
}

/** One configuration a node, by name; each with at least one GPU. */
export function exportParted(configs: ReadonlyMap<string, readonly ExportedGpu[]>, format: PartedFormat): PartedDocument {
  const named = [...configs].map(([name, gpus]) => [name, entriesOf(gpus, format)] as const);
  return { version: 'v1', 'mig-configs': Object.fromEntries(named) };
}

function entriesOf(gpus: readonly ExportedGpu[], format: PartedFormat): readonly PartedDocumentEntry[] {
  const inIndexOrder = gpus.toSorted((a, b) => a.index - b.index);
  const alike = Map.groupBy(inIndexOrder, ({ layout }) =>
    format === 'astrago' ? formatLayout(layout) : JSON.stringify(settings(layout, format)),
  );
  return [...alike.values()].map((group) => ({
    devices: alike.size === 1 ? 'all' : group.map(({ index }) => index),
    ...settings(group[0]?.layout ?? { kind: 'whole' }, format),
  }));
}

function settings(layout: Layout, format: PartedFormat): Omit<PartedDocumentEntry, 'devices'> {
  if (layout.kind === 'whole') return { 'mig-enabled': false };
  const slices = inOrder(layout.slices);
  const counts = Map.groupBy(slices, (slice): string => slice.profile);
  // By name, so that layouts of equal counts look alike wherever their slices are.
  const byName = [...counts].map(([name, own]) => [name, own.length] as const).sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    'mig-enabled': true,
    'mig-devices': Object.fromEntries(byName),
    ...(format === 'astrago' ? { 'mig-placements': slices.map(({ profile, start }) => ({ profile, start })) } : {}),
  };
}
