import { type Shape, ShapeTable } from './shape.ts';

/** So many shapes are kept for each node before those that no node has are dropped. */
const shapesPerNode = 4;
const shapesMin = 16_384;
const logMax = 2 ** 20;

/** Which node has which shape. */
export class Seating {
  #table = new ShapeTable();
  /** Nodes by shape, lowest rank first. */
  #members: (number[] | undefined)[] = [];
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

  firstOf(shape: number): number | undefined {
    return this.#members[shape]?.[0];
  }

  membersOf(shape: number): readonly number[] {
    return this.#members[shape] ?? [];
  }

  seat(node: number, shape: Shape): void {
    const id = this.#table.idOf(shape);
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
    const kept: number[] = [];
    for (const [old, nodes] of this.#members.entries()) {
      if (nodes === undefined || nodes.length === 0) continue;
      const id = table.idOf(this.#table.at(old));
      members[id] = nodes;
      kept.push(old);
      for (const node of nodes) this.#shapeOf[node] = id;
    }
    this.#table = table;
    this.#members = members;
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
    if (at === 0) this.#log.push(shape);
    this.#shapeOf[node] = shape;
  }

  #leave(node: number, shape: number): void {
    const members = this.#members[shape] as number[];
    if (members.length === 1) {
      members.pop();
      this.#liveCount -= 1;
    } else members.splice(placeIn(members, node), 1);
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
