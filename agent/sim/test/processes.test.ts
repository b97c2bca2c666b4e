import { describe, expect, it } from 'vitest';
import { SimulatedMachine } from './simulated-machine.ts';

function migUuids(machine: SimulatedMachine): readonly string[] {
  return machine.run('-L').stdout.match(/MIG-[0-9a-f-]{36}/g) ?? [];
}

function pids(machine: SimulatedMachine): readonly number[] {
  const { stdout } = machine.run('--query-compute-apps=pid --format=csv,noheader');
  return stdout.split('\n').filter(Boolean).map(Number);
}

describe('a process on a whole GPU', () => {
  it('shows in the app query, in memory and in load, and is gone with its end', () => {
    using machine = new SimulatedMachine({ gpuCount: 2 });
    const [first = '', second = ''] = machine.created.gpuUuids;
    const query = '--query-gpu=memory.used,utilization.gpu,clocks.sm --format=csv,noheader,nounits';
    const idle = machine.run(`${query} -i 1`).stdout;
    {
      using workload = machine.attach({
        CUDA_VISIBLE_DEVICES: second,
        FAKE_NVIDIA_SMI_MEMORY_MIB: '5000',
        FAKE_NVIDIA_SMI_UTILIZATION: '80',
      });

      expect(machine.run('--query-compute-apps=gpu_uuid,pid,process_name,used_memory --format=csv').stdout).toBe(
        `gpu_uuid, pid, process_name, used_memory [MiB]\n${second}, ${workload.pid}, sleep, 5000 MiB\n`,
      );
      expect(machine.run(`${query} -i 1`).stdout).toBe('5004, 80, 1980\n');
      expect(machine.run(`${query} -i ${first}`).stdout).toBe('0, 0, 345\n');
    }
    expect(idle).toBe('0, 0, 345\n');
    expect(pids(machine)).toEqual([]);
  });

  it('is found by an abbreviated UUID, and by index only when it names this machine', () => {
    using machine = new SimulatedMachine();
    const [uuid = ''] = machine.created.gpuUuids;
    using short = machine.attach({ CUDA_VISIBLE_DEVICES: uuid.slice(0, 12) });
    using named = machine.attach({ CUDA_VISIBLE_DEVICES: '0', FAKE_NVIDIA_SMI_STATE: machine.created.stateFile });
    using container = machine.attach({ NVIDIA_VISIBLE_DEVICES: uuid, CUDA_VISIBLE_DEVICES: '0' });
    using _bare = machine.attach({ CUDA_VISIBLE_DEVICES: '0' });
    using _none = machine.attach({ NVIDIA_VISIBLE_DEVICES: 'void', CUDA_VISIBLE_DEVICES: '' });
    using _other = machine.attach({ CUDA_VISIBLE_DEVICES: uuid, FAKE_NVIDIA_SMI_STATE: '/some/other/state.json' });

    expect([...pids(machine)].sort()).toEqual([short.pid, named.pid, container.pid].sort());
  });

  it('keeps instances from being created', () => {
    using machine = new SimulatedMachine({ migEnabled: true });
    using _monitor = machine.attach({ CUDA_VISIBLE_DEVICES: machine.created.gpuUuids[0] ?? '' });

    expect(machine.run('mig -cgi 20 -C').stdout).toBe(
      'Unable to create a GPU instance on GPU  0 using profile 20: In use by another client\nFailed to create GPU instances: In use by another client\n',
    );
  });
});

describe('a process in a slice', () => {
  it('shows its instance in the XML and in the box, its whole GPU in the app query', () => {
    using machine = new SimulatedMachine({ migEnabled: true });
    machine.run('mig -cgi 9,19 -C');
    const [, small = ''] = migUuids(machine);
    using workload = machine.attach({ CUDA_VISIBLE_DEVICES: small, FAKE_NVIDIA_SMI_MEMORY_MIB: '2000' });

    const xml = machine.run('-q -x').stdout;

    expect(xml).toMatch(
      new RegExp(
        `<process_info>\\s*<gpu_instance_id>7</gpu_instance_id>\\s*<compute_instance_id>0</compute_instance_id>\\s*<pid>${workload.pid}</pid>`,
      ),
    );
    expect(xml).toContain('<used>2013 MiB</used>');
    expect(xml).toContain('<gpu_util>N/A</gpu_util>');
    expect(machine.run('').stdout).toContain(`|    0    7    0 ${String(workload.pid).padStart(16)}      C   sleep`);
    expect(machine.run('--query-compute-apps=gpu_uuid --format=csv,noheader').stdout.trim()).toBe(machine.created.gpuUuids[0]);
  });

  it('keeps its compute instance from being destroyed, and only that one', () => {
    using machine = new SimulatedMachine({ migEnabled: true });
    machine.run('mig -cgi 19,19 -C');
    const [held = ''] = migUuids(machine);
    using _workload = machine.attach({ NVIDIA_VISIBLE_DEVICES: held });

    expect(machine.run('mig -dci -gi 11')).toMatchObject({
      code: 19,
      stdout: expect.stringContaining('Unable to destroy compute instance ID  0 from GPU  0 GPU instance ID 11: In use by another client'),
    });
    expect(machine.run('mig -dci -gi 13').code).toBe(0);
  });

  it('is the first slice when the process names the whole GPU', () => {
    using machine = new SimulatedMachine({ migEnabled: true });
    machine.run('mig -cgi 19,19 -C');
    using _workload = machine.attach({ CUDA_VISIBLE_DEVICES: machine.created.gpuUuids[0] ?? '' });

    expect(machine.run('-q -x').stdout).toMatch(/<process_info>\s*<gpu_instance_id>11</);
  });
});
