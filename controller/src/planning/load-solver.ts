import highsModule from 'highs';
import type { MilpTold } from './solve-milp.ts';

// The package's types describe its other door, whose module has the function as `default`.
const loadHighs = highsModule as unknown as typeof highsModule.default;

/** The solver in this very thread, which it blocks while it solves. @returns what solves a program in the LP format within some seconds. */
export async function loadSolver(): Promise<(text: string, seconds: number) => MilpTold> {
  const highs = await loadHighs();
  return (text, seconds) => {
    // No gap: the objective is whole numbers, and a plan that is nearly as good would differ from look to look.
    const solution = highs.solve(text, { output_flag: false, time_limit: seconds, mip_rel_gap: 0, random_seed: 0 });
    const values: Record<string, number> = {};
    if (solution.Status === 'Optimal') for (const [name, column] of Object.entries(solution.Columns)) values[name] = column.Primal;
    return { status: solution.Status, objective: solution.ObjectiveValue, values };
  };
}
