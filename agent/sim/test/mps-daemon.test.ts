import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MpsSite } from './mps-site.ts';
import { SimulatedMachine, until } from './simulated-machine.ts';

describe('the control daemon', () => {
  it('starts once, answers, and is gone after quit', () => {
    using machine = new SimulatedMachine();
    using site = new MpsSite(machine);
    const absent = { code: 1, stdout: 'Cannot find MPS control daemon process\n' };
    expect(site.tell('get_server_list')).toMatchObject(absent);

    expect(site.start()).toMatchObject({ code: 0, stdout: '' });
    expect(site.start()).toMatchObject({ code: 1, stdout: 'An instance of this daemon is already running\n' });
    expect(site.tell('get_server_list', 'get_default_active_thread_percentage')).toMatchObject({ code: 0, stdout: '100.0\n' });
    expect(existsSync(join(site.pipe, 'control_lock'))).toBe(true);
    expect(site.tell('quit')).toMatchObject({ code: 0, stdout: '' });

    expect(site.tell('get_server_list')).toMatchObject(absent);
    expect(site.logged('control.log')).toMatch(/^\[[-\d]+ [\d:.]+ Control +\d+\] Starting control daemon using socket /);
  });

  it('takes the directory of one that was killed', async () => {
    using machine = new SimulatedMachine();
    using site = new MpsSite(machine);
    site.start();
    const first = site.daemonPid();

    process.kill(first, 'SIGKILL');
    await until(() => site.tell('get_server_list').code === 1);

    expect(site.start().code).toBe(0);
    expect(site.daemonPid()).not.toBe(first);
    expect(site.say('get_default_active_thread_percentage')).toBe('100.0');
  });

  it('seems to start where the path is too long for a socket', () => {
    using machine = new SimulatedMachine();
    using site = new MpsSite(machine);
    const long = join(site.root, 'x'.repeat(100));
    mkdirSync(long);

    expect(site.start(undefined, { CUDA_MPS_PIPE_DIRECTORY: long })).toMatchObject({ code: 0, stdout: '' });
    expect(site.tellAt(long, 'get_server_list')).toMatchObject({ code: 1, stdout: 'Cannot find MPS control daemon process\n' });
  });

  it('says so where its directory cannot be made', () => {
    using machine = new SimulatedMachine();
    using site = new MpsSite(machine);

    const ran = site.start(undefined, { CUDA_MPS_PIPE_DIRECTORY: join(site.root, 'a', 'b') });

    expect(ran).toMatchObject({ code: 1, stdout: expect.stringContaining('ENOENT') });
  });

  it('runs in the foreground too', async () => {
    using machine = new SimulatedMachine();
    using site = new MpsSite(machine);
    const foreground = site.control(['-f']);

    await until(() => site.tell('get_server_list').code === 0);
    site.tell('quit');

    expect((await foreground.ended).code).toBe(0);
  });

  it('keeps limits for the next server only, and forgets them with quit', async () => {
    using machine = new SimulatedMachine();
    using site = new MpsSite(machine);
    site.start();
    const set = site.tell(
      'set_default_active_thread_percentage 25',
      'set_default_device_pinned_mem_limit 0 1G',
      'set_default_client_priority 1',
    );
    expect(set.stdout).toBe('25.0\n');
    site.tell(`start_server -uid ${process.getuid?.()}`);
    const server = await until(() => site.server());
    site.tell('set_default_active_thread_percentage 50', 'set_default_device_pinned_mem_limit 0 2G');

    expect(site.tell(`get_active_thread_percentage ${server}`, `get_device_pinned_mem_limit ${server} 0`).stdout).toBe('25.0\n1024M\n');
    expect(site.say('get_default_device_pinned_mem_limit 0')).toBe('2048M');
    expect(site.say('get_default_client_priority')).toBe('1');
    await until(() => site.say(`get_server_status ${server}`) === 'ACTIVE');
    site.tell('quit');
    site.start();
    expect(site.say('get_default_active_thread_percentage')).toBe('100.0');
  });

  it('refuses what it does not understand, in words and with a code that a test may choose', () => {
    using machine = new SimulatedMachine();
    using site = new MpsSite(machine);
    site.start();

    expect(site.tell('dance')).toMatchObject({ code: 0, stdout: 'Unknown command: dance\n' });
    expect(site.say('set_default_active_thread_percentage 120')).toMatch(/^Invalid/);
    expect(site.say('set_default_device_pinned_mem_limit 0 lots')).toMatch(/^Invalid/);
    expect(site.say('get_server_status 1')).toBe('Server 1 not found');
    machine.setFaults({ mps: { refusedExitCode: 3, unknownCommandText: 'what?' } });
    expect(site.tell('dance')).toMatchObject({ code: 3, stdout: 'what?\n' });
  });
});

describe('a daemon in trouble', () => {
  it('does not start, hangs, or answers nonsense by rule', async () => {
    using machine = new SimulatedMachine();
    using site = new MpsSite(machine);
    const tool = 'nvidia-cuda-mps-control';
    machine.setFaults({
      rules: [
        { match: { tool, args: '-d' }, times: 1, action: { stdout: 'no\n', exitCode: 7 } },
        { match: { tool, args: 'get_server_list' }, action: { stdout: '???' } },
      ],
    });

    expect(site.start()).toMatchObject({ code: 7, stdout: 'no\n' });
    expect(site.start().code).toBe(0);
    expect(site.say('get_server_list')).toBe('???');
    machine.setFaults({ rules: [{ match: { tool, args: 'get_server_list' }, times: 1, action: { hang: true } }] });
    const stuck = site.control([], 'get_server_list\n');
    await machine.met(1);
    stuck.kill('SIGTERM');
    const early = await Promise.race([stuck.ended, new Promise((resolve) => setTimeout(resolve, 200))]);
    stuck.kill('SIGKILL');
    expect(early).toBeUndefined();
    expect(await stuck.ended).toMatchObject({ signal: 'SIGKILL', stdout: '' });
  });

  it('dies under a command, or by itself', async () => {
    using machine = new SimulatedMachine();
    using site = new MpsSite(machine);
    const tool = 'nvidia-cuda-mps-control';
    machine.setFaults({ rules: [{ match: { tool, args: 'get_server_list' }, afterMatches: 1, action: { killDaemon: 'before' } }] });
    site.start();

    expect(site.tell('get_server_list').code).toBe(0);
    expect(site.tell('get_server_list')).toMatchObject({ code: 1, stdout: 'Cannot find MPS control daemon process\n' });
    machine.setFaults({ mps: { dieAfterMs: 50 } });
    site.start();
    await until(() => site.tell('get_default_client_priority').code === 1);
  });

  it('has servers that do not come up', async () => {
    using machine = new SimulatedMachine();
    using site = new MpsSite(machine);
    site.start();
    machine.setFaults({ mps: { serverExitCode: 1 } });

    expect((await site.client().ended).stderr).toContain('CUDA error 805');
    machine.setFaults({});
    const client = site.client();
    await until(() => client.output().includes('ready'));
  });

  it('gets no server for a device that is not there', async () => {
    using machine = new SimulatedMachine();
    using site = new MpsSite(machine);
    site.start('GPU-00000000-0000-0000-0000-000000000000');
    site.tell(`start_server -uid ${process.getuid?.()}`);

    await until(() => site.logged('control.log').includes('exited with status 1'));
    expect(site.server()).toBeUndefined();
    expect(site.logged('server.log')).toContain('Failed to start : no CUDA-capable device is detected');
  });
});
