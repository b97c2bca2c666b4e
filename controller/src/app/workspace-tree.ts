// Workspaces as a tree: what each has is what those under it share, so guarantees must fit into each other.
import type { WorkspaceName } from '@astrago/shared/domain/ids';
import type { QuotaAmounts, WorkspaceRecord } from '#core/cluster/records';

type Workspaces = ReadonlyMap<WorkspaceName, WorkspaceRecord>;

export interface Contradiction {
  /** JSON pointer to what contradicts in the record that is put. */
  readonly pointer: string;
  readonly text: string;
}

/** What the workspaces would contradict each other by, once `record` is among them; `undefined` when nothing. */
export function contradictionOf(workspaces: Workspaces, record: WorkspaceRecord): Contradiction | undefined {
  const all: Workspaces = new Map(workspaces).set(record.name, record);
  const above = ancestorsOf(all, record);
  if (above === 'cycle') return { pointer: '/parent', text: `${record.name} would be under itself` };
  const children = childrenOf(all);
  for (const workspace of [record, ...above]) {
    const pointer = workspace === record ? '/guaranteed' : record.guaranteed === undefined ? '/parent' : '/guaranteed';
    const own = amountsOf(workspace.guaranteed);
    const beyond = firstBeyond(own, amountsOf(workspace.limit), Number.POSITIVE_INFINITY);
    if (beyond !== undefined)
      return { pointer, text: `${workspace.name} is guaranteed ${beyond.wanted} ${beyond.what}, above its limit of ${beyond.bound}` };
    const under = sumOf((children.get(workspace.name) ?? []).map((child) => needOf(children, child)));
    const bound = workspace.guaranteed === undefined ? undefined : firstBeyond(under, own, 0);
    if (bound !== undefined)
      return {
        pointer,
        text: `the workspaces under ${workspace.name} would be guaranteed ${bound.wanted} ${bound.what} together, and it is guaranteed ${bound.bound}`,
      };
    const limited = firstBeyond(under, amountsOf(workspace.limit), Number.POSITIVE_INFINITY);
    if (limited !== undefined)
      return {
        pointer: workspace === record ? '/limit' : pointer,
        text: `the workspaces under ${workspace.name} would be guaranteed ${limited.wanted} ${limited.what} together, above its limit of ${limited.bound}`,
      };
  }
  return undefined;
}

/** All under it, at every depth; itself not. */
export function descendantsOf(workspaces: Workspaces, name: WorkspaceName): readonly WorkspaceRecord[] {
  const children = childrenOf(workspaces);
  const under = (parent: WorkspaceName): readonly WorkspaceRecord[] =>
    (children.get(parent) ?? []).flatMap((child) => [child, ...under(child.name)]);
  return under(name);
}

type Children = ReadonlyMap<WorkspaceName, readonly WorkspaceRecord[]>;

function childrenOf(workspaces: Workspaces): Children {
  const children = new Map<WorkspaceName, WorkspaceRecord[]>();
  for (const workspace of workspaces.values()) {
    if (workspace.parent === undefined) continue;
    const siblings = children.get(workspace.parent) ?? [];
    siblings.push(workspace);
    children.set(workspace.parent, siblings);
  }
  return children;
}

function ancestorsOf(workspaces: Workspaces, record: WorkspaceRecord): readonly WorkspaceRecord[] | 'cycle' {
  const found: WorkspaceRecord[] = [];
  for (let at = record.parent; at !== undefined; ) {
    const parent = workspaces.get(at);
    if (parent === undefined) break;
    if (parent === record || found.includes(parent)) return 'cycle';
    found.push(parent);
    at = parent.parent;
  }
  return found;
}

/** Amounts by what they are of, in words. */
type Amounts = ReadonlyMap<string, number>;

/** What must be there for it: its own guarantee, or else those of all under it. */
function needOf(children: Children, workspace: WorkspaceRecord): Amounts {
  if (workspace.guaranteed !== undefined) return amountsOf(workspace.guaranteed);
  return sumOf((children.get(workspace.name) ?? []).map((child) => needOf(children, child)));
}

function amountsOf(amounts: QuotaAmounts | undefined): Amounts {
  const named: readonly (readonly [string, number | undefined])[] = [
    ['compute slices', amounts?.compute],
    ['memory slices', amounts?.memory],
    ['thousandths of a CPU', amounts?.cpuMilli],
    ['MiB of main memory', amounts?.memoryMiB],
    ...Object.entries(amounts?.models ?? {}).flatMap(
      ([model, { compute, memory }]) =>
        [
          [`compute slices of ${model}`, compute],
          [`memory slices of ${model}`, memory],
        ] as const,
    ),
  ];
  return new Map(named.flatMap(([what, value]) => (value === undefined ? [] : [[what, value] as const])));
}

function sumOf(all: readonly Amounts[]): Amounts {
  const sum = new Map<string, number>();
  for (const amounts of all) for (const [what, value] of amounts) sum.set(what, (sum.get(what) ?? 0) + value);
  return sum;
}

/** @param absent what a bound that is not named is. */
function firstBeyond(
  amounts: Amounts,
  bounds: Amounts,
  absent: number,
): { readonly what: string; readonly wanted: number; readonly bound: number } | undefined {
  for (const [what, wanted] of amounts) {
    const bound = bounds.get(what) ?? absent;
    if (wanted > bound) return { what, wanted, bound };
  }
  return undefined;
}
