import { describe, expect, it } from 'vitest';
import { MpsSite } from './mps-site.ts';
import { type Running, SimulatedMachine, until } from './simulated-machine.ts';

const ready = (client: Running): Promise<true | undefined> => until(() => client.output().includes('ready\n') || undefined);

describe('a client', () => {
  it('brings the server up, gets its share rounded down, and is listed', async () => {
    using machine = new SimulatedMachine({ gpuCount: 2 });
    using site = new MpsSite(machine);
    const [, uuid = ''] = machine.created.gpuUuids;
    site.start(uuid);
    site.tell('set_default_active_thread_percentage 25.5');

    const client = site.client({ FAKE_NVIDIA_SMI_MEMORY_MIB: '500' });
    await ready(client);
    const server = site.server();

    expect(client.output()).toContain(`MPS server ${server}\ndevice 0: ${uuid}\nactive threads: 25.0 % (33 of 132 multiprocessors)\n`);
    expect(site.clients()).toEqual([client.pid]);
    expect(site.say('ps')).toMatch(
      new RegExp(`^PID +ID +SERVER +DEVICE +NAMESPACE +COMMAND\\n${client.pid} +0 +${server} +${uuid.slice(0, 22)} +\\d+ +\\S`),
    );
    expect(site.say('get_device_client_list')).toBe(`${uuid}\n${client.pid}`);
  });

  it('may tighten its limits by its environment and not loosen them', async () => {
    using machine = new SimulatedMachine();
    using site = new MpsSite(machine);
    site.start();
    site.tell('set_default_active_thread_percentage 50', 'set_default_device_pinned_mem_limit 0 1G');
    const output = async (percentage: string, memory: string): Promise<string> => {
      const client = site.client({ CUDA_MPS_ACTIVE_THREAD_PERCENTAGE: percentage, CUDA_MPS_PINNED_DEVICE_MEM_LIMIT: memory });
      await ready(client);
      return client.output();
    };

    expect(await output('10', '0=512MB,1=9G')).toMatch(/active threads: 9\.8 % .*\nmemory: 0 MiB of at most 512 MiB/);
    expect(await output('90', '0=4G')).toMatch(/active threads: 50\.0 % .*\nmemory: 0 MiB of at most 1024 MiB/);
  });

  it('is out of memory above its limit, and a silent one is cut to it', async () => {
    using machine = new SimulatedMachine({ migEnabled: true });
    using site = new MpsSite(machine);
    machine.run('mig -cgi 19 -C');
    const [slice = ''] = machine.run('-L').stdout.match(/MIG-[0-9a-f-]{36}/) ?? [];
    site.start(slice);
    site.tell(`set_default_device_pinned_mem_limit ${slice} 1G`);

    const greedy = await site.client({ FAKE_NVIDIA_SMI_MEMORY_MIB: '2000' }).ended;
    const silent = site.silent({ FAKE_NVIDIA_SMI_MEMORY_MIB: '2000' });
    await until(() => site.clients().includes(silent));

    expect(greedy).toMatchObject({ code: 1, stderr: 'CUDA error 2 (CUDA_ERROR_OUT_OF_MEMORY): out of memory\n' });
    const rows = (machine.run('').stdout.match(/^\|.*(M\+C|mps-server).*$/gm) ?? []).map((row) => row.replace(/[|\s]+/g, ' ').trim());
    expect(rows.sort()).toEqual([`0 13 0 ${silent} M+C sleep 1024MiB`, `0 13 0 ${site.server()} C nvidia-cuda-mps-server 30MiB`].sort());
  });

  it('is part of the server on a whole GPU, unless the machine lists it', async () => {
    using machine = new SimulatedMachine();
    using site = new MpsSite(machine);
    site.start();
    const client = site.client({ FAKE_NVIDIA_SMI_MEMORY_MIB: '700' });
    await ready(client);
    const apps = (): string => machine.run('--query-compute-apps=pid,used_memory --format=csv,noheader,nounits').stdout;
    const server = site.server();

    expect(apps()).toBe(`${server}, 730\n`);
    machine.setFaults({ behaviour: { mpsClientsOnWholeGpu: 'listed' } });
    expect(apps().split('\n').filter(Boolean).sort()).toEqual([`${client.pid}, 700`, `${server}, 30`].sort());
  });

  it('sees the devices of its daemon numbered anew', async () => {
    using machine = new SimulatedMachine({ gpuCount: 3 });
    using site = new MpsSite(machine);
    const [first = '', second = '', third = ''] = machine.created.gpuUuids;
    site.start('2,1');

    const second0 = site.client({ CUDA_VISIBLE_DEVICES: '0' });
    const named = site.client({ CUDA_VISIBLE_DEVICES: second });
    await Promise.all([ready(second0), ready(named)]);

    expect(second0.output()).toContain(`device 0: ${third}`);
    expect(named.output()).toContain(`device 0: ${second}`);
    expect((await site.client({ CUDA_VISIBLE_DEVICES: first }).ended).stderr).toContain('CUDA_ERROR_NO_DEVICE');
    expect((await site.client({ CUDA_VISIBLE_DEVICES: '2' }).ended).stderr).toContain('CUDA_ERROR_NO_DEVICE');
  });

  it('runs without MPS, as any process, where the daemon is dead', async () => {
    using machine = new SimulatedMachine();
    using site = new MpsSite(machine);
    const [uuid = ''] = machine.created.gpuUuids;

    const client = site.client({ CUDA_VISIBLE_DEVICES: uuid });
    await ready(client);
    site.start();

    expect(client.output()).toContain('without MPS');
    expect(machine.run('').stdout).toMatch(new RegExp(`${client.pid} {6}C   cuda-client`));
  });

  it('is turned away above the number of clients that a device takes', async () => {
    using machine = new SimulatedMachine();
    using site = new MpsSite(machine);
    machine.setFaults({ mps: { clientLimit: 2 } });
    site.start();
    await Promise.all([ready(site.client()), ready(site.client())]);

    expect((await site.client().ended).stderr).toContain('CUDA error 808 (CUDA_ERROR_MPS_MAX_CLIENTS_REACHED)');
  });

  it('has less company in a slice, and holds it against being destroyed', async () => {
    using machine = new SimulatedMachine({ migEnabled: true });
    using site = new MpsSite(machine);
    machine.run('mig -cgi 14 -C');
    const [slice = ''] = machine.run('-L').stdout.match(/MIG-[0-9a-f-]{36}/) ?? [];
    // Two of seven slices.
    machine.setFaults({ mps: { clientLimit: 4 } });
    site.start(slice);
    await ready(site.client());

    expect((await site.client().ended).stderr).toContain('CUDA error 808');
    expect(machine.run('mig -dci')).toMatchObject({ code: 19, stdout: expect.stringContaining('In use by another client') });
    site.tell('quit -t 0');
    await until(() => machine.run('mig -dci').code === 0);
  });

  it('is refused on an exclusive GPU in use, unless it comes through MPS', async () => {
    using machine = new SimulatedMachine();
    using site = new MpsSite(machine);
    const [uuid = ''] = machine.created.gpuUuids;
    machine.run('-c EXCLUSIVE_PROCESS');
    const outside = { CUDA_VISIBLE_DEVICES: uuid, CUDA_MPS_PIPE_DIRECTORY: '/nonexistent' };
    const first = site.client(outside);
    await ready(first);
    expect((await site.client(outside).ended).stderr).toContain('CUDA error 46');
    first.kill('SIGKILL');
    await first.ended;

    site.start();
    await Promise.all([ready(site.client()), ready(site.client())]);
    expect((await site.client(outside).ended).stderr).toContain('CUDA error 46');
  });
});

describe('the end of a client', () => {
  it('comes in order by terminate_client, and only for a client', async () => {
    using machine = new SimulatedMachine();
    using site = new MpsSite(machine);
    site.start();
    const client = site.client();
    await ready(client);
    const silent = site.silent();
    await until(() => site.clients().length === 2);
    const server = site.server();

    expect(site.say(`terminate_client ${server} 1`)).toBe('1');
    machine.setFaults({ mps: { terminateResult: 999 } });
    expect(site.say(`terminate_client ${server} ${client.pid}`)).toBe('999');
    machine.setFaults({});
    expect(site.say(`terminate_client ${server} ${client.pid}`)).toBe('0');
    expect(await client.ended).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('CUDA error 810 (CUDA_ERROR_MPS_CLIENT_TERMINATED)'),
    });
    expect(site.say(`terminate_client ${server} ${silent}`)).toBe('0');
    expect(site.clients()).toEqual([]);
  });

  it('by a fatal fault is that of all, and a new server comes when they are gone', async () => {
    using machine = new SimulatedMachine();
    using site = new MpsSite(machine);
    site.start();
    const [guilty, innocent] = [site.client(), site.client()];
    await Promise.all([ready(guilty), ready(innocent)]);
    const silent = site.silent();
    await until(() => site.clients().length === 3);
    const server = site.server();

    guilty.kill('SIGUSR1');
    expect((await guilty.ended).stderr).toContain('CUDA error 700');
    expect((await innocent.ended).stderr).toContain('CUDA error 719');
    expect(site.say(`get_server_status ${server}`)).toBe('FAULT');
    const next = site.client();
    await until(() => site.logged('control.log').includes(`NEW CLIENT ${next.pid}`));
    expect(site.clients()).toEqual([silent]);
    site.kill(silent);

    await ready(next);
    expect(site.server()).not.toBe(server);
    expect(site.clients()).toEqual([next.pid]);
  });

  it('by the death of the server is an error for those that talk to it', async () => {
    using machine = new SimulatedMachine();
    using site = new MpsSite(machine);
    site.start();
    const client = site.client();
    await ready(client);

    process.kill(site.server() ?? 0, 'SIGKILL');

    expect((await client.ended).stderr).toContain('CUDA error 806');
    await ready(site.client());
  });

  it('is waited for by quit, unless quit has a time', async () => {
    using machine = new SimulatedMachine();
    using site = new MpsSite(machine);
    site.start();
    const client = site.client();
    await ready(client);

    expect(site.tell('quit -t 0').code).toBe(0);

    expect((await client.ended).code).toBe(1);
    expect(site.tell('get_server_list').code).toBe(1);
  });

  it('is not hurried by SIGTERM where it is stubborn', async () => {
    using machine = new SimulatedMachine();
    using site = new MpsSite(machine);
    site.start();
    const client = site.client({}, ['--ignore-sigterm']);
    await ready(client);

    client.kill('SIGTERM');
    await until(() => client.output().includes('SIGTERM'));
    client.kill('SIGKILL');

    expect(await client.ended).toMatchObject({ signal: 'SIGKILL' });
    await until(() => site.clients().length === 0);
  });
});
