import { describe, expect, it } from 'vitest';
import { type ClusterPlan, parsePlan, planCluster } from './cluster-plan.ts';

const laptop = { hostname: 'Lab.Example.org', hasGpus: false };
const gpuServer = { hostname: 'GPU_server.example.org', hasGpus: true };
const two = planCluster({ nodes: 2, gpus: 2 }, undefined, laptop) as ClusterPlan;

describe('the plan of a local cluster', () => {
  it('is two simulated nodes where there is no GPU', () => {
    expect(planCluster({}, undefined, laptop)).toEqual({
      port: 8420,
      nodes: [
        { kind: 'simulated', name: 'sim-1', model: 'h100-80gb', gpus: 2, seed: 1 },
        { kind: 'simulated', name: 'sim-2', model: 'h100-80gb', gpus: 2, seed: 2 },
      ],
    });
  });
  it('is the machine itself where there are GPUs, unless simulation is asked for', () => {
    expect(planCluster({}, undefined, gpuServer)).toEqual({ port: 8420, nodes: [{ kind: 'real', name: 'gpu-server' }] });
    expect(planCluster({ nodes: 1 }, undefined, gpuServer)).toMatchObject({ nodes: [{ kind: 'simulated' }] });
  });
  it('is what was recorded when nothing is asked, whatever the machine is now', () => {
    expect(planCluster({}, two, gpuServer)).toEqual(two);
    expect(planCluster({ port: 0 }, two, laptop)).toEqual({ ...two, port: 0 });
  });
  it('grows by nodes like those that are there', () => {
    expect(planCluster({ nodes: 3 }, two, laptop)).toEqual({
      ...two,
      nodes: [...two.nodes, { kind: 'simulated', name: 'sim-3', model: 'h100-80gb', gpus: 2, seed: 3 }],
    });
  });
  it.each([
    ['fewer nodes', { nodes: 1 }, two, 'has 2 nodes'],
    ['another model', { model: 'a30' }, two, 'have the model h100-80gb, not a30'],
    ['another number of GPUs', { gpus: 8 }, two, 'have 2 GPUs each, not 8'],
    ['simulated nodes beside real ones', { nodes: 2 }, { port: 1, nodes: [{ kind: 'real', name: 'x' }] } as ClusterPlan, 'real GPUs'],
  ])('refuses %s', (_what, flags, recorded, says) => {
    expect(planCluster(flags, recorded, laptop)).toMatchObject({ conflict: expect.stringContaining(says) as string });
  });
  it('is read back as it was written, and not from anything else', () => {
    expect(parsePlan(JSON.parse(JSON.stringify(two)) as Record<string, unknown>)).toEqual(two);
    expect(parsePlan({ port: 1, nodes: [{ kind: 'simulated', name: 'x' }] })).toBeUndefined();
    expect(parsePlan(undefined)).toBeUndefined();
  });
});
