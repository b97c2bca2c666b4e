import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Scratch } from '../testing/scratch.ts';
import { until } from '../testing/until.ts';
import { enabledUnits } from './enabled-units.ts';
import { runningManagers } from './running-managers.ts';

let scratch: Scratch;
beforeEach(() => {
  scratch = new Scratch();
});
afterEach(() => scratch[Symbol.asyncDispose]());

function put(path: string, text = ''): string {
  const file = scratch.path('host', ...path.split('/'));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

function link(path: string, target: string): void {
  const file = scratch.path('host', ...path.split('/'));
  mkdirSync(dirname(file), { recursive: true });
  symlinkSync(target, file);
}

describe('running managers', () => {
  const stat = (name: string, state = 'S'): string => `12 (${name}) ${state} 1 12 12 0 -1 4194560 0 0\n`;
  const find = (): Promise<readonly string[]> => runningManagers({ proc: scratch.path('host', 'proc') }).find();

  it.each([
    ['nvidia-mig-mana', 'the process nvidia-mig-manager (12)'],
    ['nvidia-mig-part', 'the process nvidia-mig-parted (12)'],
    ['mig-manager', 'the process mig-manager (12)'],
    ['mig-parted', 'the process mig-parted (12)'],
  ])('are known by the name %s', async (name, told) => {
    put('proc/12/stat', stat(name));
    put('proc/13/stat', stat('bash'));
    put('proc/self/stat', stat(name));
    expect(await find()).toEqual([told]);
  });

  it.each([
    ['one that has ended', stat('nvidia-mig-mana', 'Z')],
    ['a name that only begins so', stat('mig-manager-ui')],
    ['one that names it in brackets', stat('a) S (mig-manager')],
    ['nonsense', 'nonsense'],
    ['nothing', ''],
  ])('are not: %s', async (_what, text) => {
    put('proc/12/stat', text);
    mkdirSync(scratch.path('host', 'proc', '14'));
    expect(await find()).toEqual([]);
  });

  it('throws where it cannot look, which is not the same as finding nothing', async () => {
    await expect(find()).rejects.toThrow('ENOENT');
  });

  it('sees a real script come and go, by the name of its file', async () => {
    // A name of this run's own: agents of other tests look at the same processes.
    const name = `mig-${process.pid}-${Date.now().toString(36)}-manager`;
    const file = scratch.path(name);
    writeFileSync(file, '#!/bin/sh\nread end\n');
    chmodSync(file, 0o755);
    const finder = runningManagers({ proc: '/proc', names: [name] });
    expect(await finder.find()).toEqual([]);
    const child = spawn(file, { stdio: ['pipe', 'ignore', 'ignore'] });
    await until(async () => (await finder.find()).includes(`the process ${name} (${child.pid})`), 'it is found');
    const gone = once(child, 'exit');
    child.stdin.end();
    await gone;
    expect(await finder.find()).toEqual([]);
  });
});

describe('enabled units', () => {
  const unit = 'nvidia-mig-manager.service';
  const find = (): Promise<readonly string[]> => enabledUnits({ root: scratch.path('host') }).find();
  beforeEach(() => {
    put('run/systemd/system/.keep');
  });

  it.each(['multi-user.target.wants', 'nvidia-gpu-reset.target.requires', 'gpu.target.upholds'])(
    'are found by a link in %s',
    async (directory) => {
      put(`usr/lib/systemd/system/${unit}`);
      link(`etc/systemd/system/${directory}/${unit}`, `/usr/lib/systemd/system/${unit}`);
      expect(await find()).toEqual([`the systemd unit ${unit} (enabled for ${directory.replace(/\.\w+$/, '')})`]);
    },
  );

  it('are found whether enabled for good, until the next boot, or by the vendor', async () => {
    put(`etc/systemd/system/${unit}`);
    expect(await find()).toEqual([]);
    link(`run/systemd/system/a.target.wants/${unit}`, `/etc/systemd/system/${unit}`);
    expect(await find()).toHaveLength(1);
    rmSync(scratch.path('host', 'run/systemd/system/a.target.wants'), { recursive: true });
    link(`lib/systemd/system/b.target.wants/${unit}`, `../${unit}`);
    expect(await find()).toHaveLength(1);
  });

  it('are not: one that is there and not enabled, one masked, one whose file is gone, one under no systemd', async () => {
    put(`lib/systemd/system/${unit}`);
    put('etc/systemd/system/multi-user.target.wants/ssh.service');
    expect(await find()).toEqual([]);

    link(`etc/systemd/system/multi-user.target.wants/${unit}`, `/lib/systemd/system/${unit}`);
    expect(await find()).toHaveLength(1);
    link(`etc/systemd/system/${unit}`, '/dev/null');
    expect(await find()).toEqual([]);

    rmSync(scratch.path('host', `etc/systemd/system/${unit}`));
    rmSync(scratch.path('host', `lib/systemd/system/${unit}`));
    expect(await find()).toEqual([]);

    put(`lib/systemd/system/${unit}`);
    rmSync(scratch.path('host', 'run/systemd'), { recursive: true });
    expect(await find()).toEqual([]);
  });

  it('throws where it cannot look', async () => {
    put(`lib/systemd/system/${unit}`);
    put('etc/systemd/system');
    mkdirSync(join(scratch.directory, 'other'));
    expect(await find()).toEqual([]);
    rmSync(scratch.path('host', 'etc/systemd/system'));
    link('etc/systemd/system', 'system');
    await expect(find()).rejects.toThrow('ELOOP');
  });
});
