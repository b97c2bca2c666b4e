import { keepsWorkAway } from '@astrago/shared/domain/condition';
import type { Cluster } from '../cluster/cluster.ts';
import type { ObservedNode } from '../cluster/observed.ts';
import type { NodeRecord } from '../cluster/records.ts';
import type { GpuKind } from './gpu-kind.ts';

/** What the bays of a pool have in common, so that an ask that may go to one may go to each of them. */
export interface Pool {
  /** Absent on nodes without GPUs. */
  readonly kind: GpuKind | undefined;
  readonly taints: readonly string[];
  /** Only those that any ask has ever insisted on. */
  readonly labels: ReadonlyMap<string, string>;
}

/** Numbers pools. 0 is of the nodes that take nothing now: no ask may go there. */
export class Pools {
  readonly #pools: (Pool | undefined)[] = [undefined];
  /** What names a pool also when it is numbered anew. */
  readonly #keys: string[] = [''];
  readonly #ids = new Map<string, number>();
  readonly #kinds = new Map<GpuKind, number>();

  get count(): number {
    return this.#pools.length;
  }

  /** Forgets those that were numbered later. */
  keepFirst(count: number): void {
    this.#pools.length = count;
    this.#keys.length = count;
    for (const [key, id] of this.#ids) if (id >= count) this.#ids.delete(key);
  }

  at(id: number): Pool | undefined {
    return this.#pools[id];
  }

  keyOf(id: number): string {
    return this.#keys[id] ?? '';
  }

  /** @param labelKeys ascending. */
  idOf(kind: GpuKind | undefined, node: NodeRecord | undefined, labelKeys: readonly string[]): number {
    const kindId = kind === undefined ? -1 : (this.#kinds.get(kind) ?? this.#kinds.size);
    if (kind !== undefined) this.#kinds.set(kind, kindId);
    const taints = node?.taints?.toSorted() ?? [];
    const labels = labelKeys.flatMap((key): readonly (readonly [string, string])[] => {
      const value = node?.labels?.[key];
      return value === undefined ? [] : [[key, value]];
    });
    const key = taints.length === 0 && labels.length === 0 ? String(kindId) : JSON.stringify([kindId, taints, labels]);
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    this.#ids.set(key, this.#pools.length);
    const { model, memoryMiB } = kind ?? {};
    this.#keys.push(JSON.stringify([model ?? null, memoryMiB ?? null, kind?.grid?.profiles.length ?? 0, taints, labels]));
    return this.#pools.push({ kind, taints, labels: new Map(labels) }) - 1;
  }
}

/** Whether new work may go to a node at all. */
export function isClosed(cluster: Cluster, node: ObservedNode): boolean {
  if (node.state !== 'ready' || cluster.nodes.get(node.name)?.cordoned === true) return true;
  return node.conditions.some((condition) => keepsWorkAway(condition.kind));
}

/** Whether an ask tolerates every taint. */
export function toleratesAll(taints: readonly string[], tolerations: readonly string[] | undefined): boolean {
  return taints.every((taint) => tolerations?.some((one) => one === taint || one === taint.split('=', 1)[0]) === true);
}
