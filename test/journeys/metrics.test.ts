// A real Prometheus scrapes the controller and four agents, and answers what people and dashboards ask.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Prometheus } from '../services/prometheus.ts';
import { promtoolFindings } from '../services/prometheus-programs.ts';
import { startWorld, until, type World, type WorldNode } from '../world/index.ts';

const mebibyte = 1024 * 1024;
const nodes = 4;

/** As the agent says in its log. */
function metricsAddress(node: WorldNode): string {
  const [, port] = /.*"metricsPort":(\d+)/s.exec(readFileSync(node.agent.logFile, 'utf8')) ?? [];
  if (port === undefined) throw new Error(`${node.name} does not say its port`);
  return `127.0.0.1:${port}`;
}

/** What the simulated machine says of its GPUs: uuid and the fields asked for, a row a GPU. */
function ask(node: WorldNode, fields: string): readonly (readonly string[])[] {
  const output = execFileSync(join(node.machine, 'bin/nvidia-smi'), [`--query-gpu=uuid,${fields}`, '--format=csv,noheader,nounits'], {
    encoding: 'utf8',
  });
  return output
    .trim()
    .split('\n')
    .map((row) => row.split(', '));
}

/**
 * The queries of Grafana's dashboard 12239, as it is published with dcgm-exporter and as it was before; its variables stand
 * for all nodes and GPUs, as it starts. The panel of DCGM_FI_PROF_PIPE_TENSOR_ACTIVE is not among them: nvidia-smi does not measure that.
 */
const dashboard = ['Hostname=~"sim-1|sim-2|sim-3|sim-4", gpu=~"0|1"', 'instance=~"127.0.0.1:.*", gpu=~"0|1"'].flatMap((chosen) => [
  `max(DCGM_FI_DEV_GPU_TEMP{${chosen}}) by (Hostname, gpu, uuid)`,
  `avg(DCGM_FI_DEV_GPU_TEMP{${chosen}})`,
  `max(DCGM_FI_DEV_POWER_USAGE{${chosen}}) by (Hostname, gpu, uuid)`,
  `sum(max(DCGM_FI_DEV_POWER_USAGE{${chosen}}) by (gpu))`,
  `max(DCGM_FI_DEV_SM_CLOCK{${chosen}} * 1000000) by (Hostname, UUID, gpu)`,
  `DCGM_FI_DEV_GPU_UTIL{${chosen}}`,
  `max(DCGM_FI_DEV_FB_USED{${chosen}}) by (Hostname, gpu, GPU_I_ID, GPU_I_PROFILE)`,
  `count by (Hostname, gpu) (DCGM_FI_DEV_FB_FREE{${chosen}})`,
]);

describe('Prometheus', () => {
  let world: World;
  let prometheus: Prometheus;

  beforeAll(async () => {
    world = await startWorld({
      nodes,
      gpus: 2,
      agentEnvironment: {
        ASTRAGO_METRICS_COMPATIBILITY: 'dcgm',
        ASTRAGO_METRICS_HOSTNAME_LABEL: 'Hostname',
        ASTRAGO_SAMPLE_PERIOD_MS: '1000',
        ASTRAGO_DETAIL_PERIOD_MS: '3000',
        ASTRAGO_INVENTORY_PERIOD_MS: '5000',
      },
    });
    await world.client.setLayout({ params: { node: 'sim-1', gpu: '1' }, body: { layout: '3g.40gb,1g.10gb*2' } });
    const environment = { FAKE_NVIDIA_SMI_MEMORY_MIB: '4096', FAKE_NVIDIA_SMI_UTILIZATION: '50' };
    await world.client.submitWorkload({ body: { name: 'whole', command: ['sleep', '300'], gpus: 1, environment } });
    prometheus = await Prometheus.start([
      { job: 'astrago-controller', targets: [new URL(world.url).host] },
      { job: 'astrago-agent', targets: world.nodes.map(metricsAddress) },
    ]);
    await world.reaches('whole', 'running');
  }, 90_000);
  afterAll(async () => {
    await prometheus?.[Symbol.asyncDispose]();
    await world?.[Symbol.asyncDispose]();
  });

  /** Prometheus looks each second, and the agents every three: what is expected is waited for. */
  async function shows(expression: string, expected: number | undefined): Promise<void> {
    let seen: number | undefined;
    await until(
      async () => {
        seen = await prometheus.value(expression);
        return seen === expected;
      },
      expression,
      20_000,
    ).catch((cause: unknown) => {
      throw new Error(`${expression} never was ${expected}; last seen: ${seen}\n${world.logs()}`, { cause });
    });
  }

  it('reaches the controller and every agent', async () => {
    await shows('count(up == 1)', 1 + nodes);
    await shows('count(astrago_build_info)', 1 + nodes);
    await shows('sum(astrago_nodes{state="ready"})', nodes);
  });

  it('finds nothing to complain about in what they say', async () => {
    const exposition = async (host: string) => (await fetch(`http://${host}/metrics`)).text();
    const [first] = world.nodes;
    const ours = (await exposition(metricsAddress(first ?? expect.unreachable()))).replaceAll(/^(# \w+ )?DCGM_.*\n/gm, '');

    expect(await promtoolFindings(ours)).toEqual([]);
    expect(await promtoolFindings(await exposition(new URL(world.url).host))).toEqual([]);
  });

  it('shows every GPU of every machine with the values of its driver', async () => {
    await shows('count(astrago_gpu_info)', 2 * nodes);
    for (const node of world.nodes)
      for (const [uuid, total] of ask(node, 'memory.total')) {
        await shows(`astrago_gpu_memory_total_bytes{uuid="${uuid}"}`, Number(total) * mebibyte);
        await shows(`astrago_gpu_info{uuid="${uuid}", node="${node.name}"}`, 1);
      }
    await shows('count(astrago_gpu_temperature_celsius > 20 < 100)', 2 * nodes);
    await shows('count(astrago_gpu_power_watts > 20 < 1000)', 2 * nodes);
    await shows('min(astrago_agent_last_collect_success)', 1);
  });

  it('knows what a workload does to its GPU, and on which node', async () => {
    const workload = await world.workload('whole');
    const [device] = workload.devices;
    const uuid = device?.gpuUuid ?? expect.unreachable();
    const node = world.node(workload.node ?? expect.unreachable());

    await shows(`astrago_gpu_utilization_ratio{uuid="${uuid}"}`, 0.5);
    await shows(`DCGM_FI_DEV_GPU_UTIL{UUID="${uuid}", Hostname="${node.name}"}`, 50);
    await until(async () => {
      const [, used] = ask(node, 'memory.used').find(([one]) => one === uuid) ?? [];
      return (await prometheus.value(`astrago_gpu_memory_used_bytes{uuid="${uuid}"}`)) === Number(used) * mebibyte;
    }, 'the memory in use is that of the driver');
    // The supervisor carries the environment of its command, and to the simulated machine whoever carries it holds the GPU.
    await shows(`astrago_allocation_memory_used_bytes{uuid="${uuid}"}`, 2 * 4096 * mebibyte);
    await shows(`astrago_gpu_foreign_processes{uuid="${uuid}"}`, 0);
    await shows(
      `count(astrago_allocation_info{workload="whole", state="running"} * on (uuid) group_left (node) astrago_gpu_info{node="${node.name}"})`,
      1,
    );
  });

  it('shows slices, whose memory adds up to no more than their GPU has', async () => {
    const uuid = ask(world.node('sim-1'), 'index').find(([, index]) => index === '1')?.[0] ?? expect.unreachable();

    await shows(`count(astrago_mig_instance_info{uuid="${uuid}"})`, 3);
    await shows(`count(astrago_mig_memory_total_bytes{uuid="${uuid}"})`, 3);
    await shows(`count(DCGM_FI_DEV_FB_USED{UUID="${uuid}", GPU_I_ID!=""})`, 3);
    await shows('count(sum by (uuid) (astrago_mig_memory_total_bytes) <= on (uuid) astrago_gpu_memory_total_bytes)', 1);
    await shows(`count(astrago_gpu_utilization_ratio{uuid="${uuid}"})`, undefined);
  });

  it('answers every query of the dashboard for dcgm-exporter', async () => {
    for (const query of dashboard) await until(async () => (await prometheus.query(query)).length > 0, `there is data for ${query}`);
    await shows(`count(${dashboard[4]} > 100e6)`, 2 * nodes);
  });

  it('sees the host', async () => {
    await shows('count(astrago_host_memory_available_bytes > 0)', nodes);
    await shows('count(sum by (instance) (astrago_host_cpu_seconds_total) > 0)', nodes);
  });

  it('sees that a slice is gone', async () => {
    await world.client.setLayout({ params: { node: 'sim-1', gpu: '1' }, body: { layout: '3g.40gb' } });

    await shows('count(astrago_mig_instance_info)', 1);
    await shows('count(astrago_mig_memory_total_bytes)', 1);
  });

  it('sees that an agent is gone', async () => {
    const node = world.node('sim-4');
    const address = metricsAddress(node);
    await node.agent.kill();

    await shows(`up{instance="${address}"}`, 0);
    await shows('count(up == 1)', nodes);
    await shows('count(astrago_gpu_info)', 2 * (nodes - 1));
  });
});
