// A thread with the solver in it; it may be ended at any moment.
import { parentPort, workerData } from 'node:worker_threads';
import { loadSolver } from './load-solver.ts';
import type { MilpTask } from './solve-milp.ts';

const { text, seconds } = workerData as MilpTask;
const solve = await loadSolver();
parentPort?.postMessage(solve(text, seconds));
