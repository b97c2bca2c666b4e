import type { AskClass } from './demand.ts';
import { type Shape, ShapeTable } from './shape.ts';
import { ShapeSizes } from './shape-sizes.ts';

/** So many shapes are kept for each node before those that no node has are dropped. */
const shapesPerNode = 4;
const shapesMin = 16_384;
const logMax = 2 ** 20;

/** Stands for no node. */
export const nobody = -1;

/** Which node has which shape. */
export class Seating {
  #table = new ShapeTable();
  /** Nodes by shape, lowest rank first. */
  #members: (number[] | undefined)[] = [];
  /** First node by shape, or {@link nobody}: in one piece of memory, because it is read for every shape that is looked at. */
  #first: Int32Array = new Int32Array(1024).fill(nobody);
  #sizes = new ShapeSizes();
  /** Shape of each node. */
  readonly #shapeOf: number[] = [];
  /** Shapes that came to be, or whose first node is an earlier one now. */
  #log: number[] = [];
  #liveCount = 0;

  /** To be read on from where it was read before; after {@link compact} it begins anew. */
  get log(): readonly number[] {
    return this.#log;
  }

  /** Shapes that some node has. */
  get liveCount(): number {
    return this.#liveCount;
  }

  /** Shapes that have a number. */
  get count(): number {
    return this.#table.shapes.length;
  }

  get isCrowded(): boolean {
    return this.count > Math.max(shapesMin, shapesPerNode * this.#shapeOf.length) || this.#log.length > logMax;
  }

  at(shape: number): Shape {
    return this.#table.at(shape);
  }

  shapeOf(node: number): Shape {
    return this.#table.at(this.#shapeOf[node] ?? 0);
  }

  /** {@link nobody} where no node has the shape. */
  firstOf(shape: number): number {
    return this.#first[shape] ?? nobody;
  }

  /** `false` where a first look shows that an ask does not fit a shape. */
  mayFit(shape: number, ask: AskClass): boolean {
    return this.#sizes.mayFit(shape, ask);
  }

  membersOf(shape: number): readonly number[] {
    return this.#members[shape] ?? [];
  }

  seat(node: number, shape: Shape): void {
    const id = this.#table.idOf(shape);
    if (id >= this.#first.length) this.#first = grown(this.#first);
    this.#sizes.set(id, shape);
    const before = this.#shapeOf[node];
    if (id === before) return;
    if (before !== undefined) this.#leave(node, before);
    this.#enter(node, id);
  }

  /** What a policy found out about shapes is asked for anew. */
  forgetWorth(): void {
    for (const shape of this.#table.shapes) shape.worth = Number.NaN;
  }

  /** Numbers the shapes anew that some node has. Their old numbers by the new ones. */
  compact(): readonly number[] {
    const table = new ShapeTable();
    const members: (number[] | undefined)[] = [];
    const first = new Int32Array(this.#first.length).fill(nobody);
    const sizes = new ShapeSizes();
    const kept: number[] = [];
    for (const [old, nodes] of this.#members.entries()) {
      if (nodes === undefined || nodes.length === 0) continue;
      const id = table.idOf(this.#table.at(old));
      members[id] = nodes;
      first[id] = nodes[0] ?? nobody;
      sizes.set(id, table.at(id));
      kept.push(old);
      for (const node of nodes) this.#shapeOf[node] = id;
    }
    this.#table = table;
    this.#members = members;
    this.#first = first;
    this.#sizes = sizes;
    this.#log = [];
    return kept;
  }

  #enter(node: number, shape: number): void {
    const members = this.#members[shape] ?? [];
    this.#members[shape] = members;
    const at = placeIn(members, node);
    if (at === members.length) members.push(node);
    else members.splice(at, 0, node);
    if (members.length === 1) this.#liveCount += 1;
    if (at === 0) {
      this.#first[shape] = node;
      this.#log.push(shape);
    }
    this.#shapeOf[node] = shape;
  }

  #leave(node: number, shape: number): void {
    const members = this.#members[shape] as number[];
    if (members.length === 1) {
      members.pop();
      this.#liveCount -= 1;
    } else members.splice(placeIn(members, node), 1);
    this.#first[shape] = members[0] ?? nobody;
  }
}

/** Where a node is, or would be, among others in ascending order. */
function placeIn(members: readonly number[], node: number): number {
  let low = 0;
  for (let high = members.length; low < high; ) {
    const middle = (low + high) >> 1;
    if ((members[middle] ?? 0) < node) low = middle + 1;
    else high = middle;
  }
  return low;
}

function grown(first: Int32Array): Int32Array {
  const larger = new Int32Array(2 * first.length).fill(nobody);
  larger.set(first);
  return larger;
}
