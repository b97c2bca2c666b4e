/** Whether what is there stays or makes room for what comes. */
export interface Turnover {
  arrived(): void;
  departed(): void;
  /** 0 where next to nothing ends, 1 where at least half as much ends as arrives. */
  readonly level: number;
}

/** Arrivals after which what was seen counts for a third. */
const memory = 1000;
/** Until there were as many arrivals as this, little is made of a departure. */
const doubt = 100;
const steps = 4;

/** Counts both, what is longer ago for less. The level moves by quarters, and not to and fro. */
export function turnover(): Turnover {
  let arrivals = 0;
  let departures = 0;
  let level = 0;
  const settle = (): void => {
    const exact = Math.min(1, (2 * departures) / Math.max(arrivals, doubt));
    if (Math.abs(exact - level) * steps >= 0.8) level = Math.round(exact * steps) / steps;
  };
  return {
    arrived() {
      arrivals += 1 - arrivals / memory;
      departures -= departures / memory;
      settle();
    },
    departed() {
      departures += 1;
      settle();
    },
    get level() {
      return level;
    },
  };
}
