import { describe, expect, it } from 'vitest';
import { filesOf, lines, machine } from '../testing/machine.ts';
import { checkCertificates } from './controller.ts';
import { checkDataDirectory, checkLedger } from './data-directory.ts';
import { checkDeviceNodes, checkMigManager, checkPermissions } from './devices.ts';
import { checkCgroups, checkClock, checkKernelLog, checkLimits, checkMetricsPort, checkNode, checkPidNamespace } from './host.ts';
import { checkMps } from './mps.ts';

describe('the machine', () => {
  it.each([
    [
      'nodes that can be opened',
      filesOf({ '/dev/nvidiactl': '', '/dev/nvidia0': '', '/dev/nvidia-uvm': '' }),
      'ok device-nodes: 3 can be opened',
    ],
    ['no nodes', filesOf({ '/dev/null': '' }), 'warning device-nodes: there is no /dev/nvidiactl, so no program can use a GPU here'],
    [
      'no CUDA node',
      filesOf({ '/dev/nvidiactl': '', '/dev/nvidia0': '' }),
      'warning device-nodes: there is no /dev/nvidia-uvm, so CUDA cannot start',
    ],
    [
      'a node of somebody else',
      filesOf({ '/dev/nvidiactl': '', '/dev/nvidia0': '' }, ['/dev/nvidia0']),
      'problem device-nodes: this user may not open /dev/nvidia0',
    ],
  ])('has %s', async (_what, files, line) => {
    expect(lines(await checkDeviceNodes(machine({ files })))).toEqual([line]);
  });

  it.each([
    [checkPermissions, { '/proc/self/status': 'Name:\tnode\nCapEff:\t000001ffffffffff\n' }, 'ok permissions: this user may change layouts'],
    [
      checkPermissions,
      { '/proc/self/status': 'CapEff:\t0000000000000000\n' },
      'warning permissions: this user may look at GPUs and not cut them',
    ],
    [checkPermissions, {}, 'warning permissions: this user may look at GPUs and not cut them'],
    [checkKernelLog, { '/dev/kmsg': '' }, 'ok kernel-log: can be read'],
    [checkKernelLog, {}, 'warning kernel-log: cannot be read, so Xid errors of the driver stay unseen'],
    [checkPidNamespace, { '/proc/2/comm': 'kthreadd\n' }, "ok pid-namespace: the host's, so processes on GPUs can be told apart"],
    [checkPidNamespace, {}, 'unknown pid-namespace: /proc does not tell'],
    [checkCgroups, {}, 'warning cgroups: cgroups of version 2 are not mounted'],
    [
      checkCgroups,
      {
        '/sys/fs/cgroup/cgroup.controllers': 'cpu',
        '/proc/self/cgroup': '0::/a.service\n',
        '/sys/fs/cgroup/a.service/cgroup.subtree_control': '',
      },
      'ok cgroups: version 2, /a.service is ours to divide',
    ],
    [
      checkCgroups,
      { '/sys/fs/cgroup/cgroup.controllers': 'cpu', '/proc/self/cgroup': '0::/user\n' },
      'warning cgroups: /user is not ours to divide',
    ],
    [
      checkLimits,
      {
        '/proc/self/limits':
          'Max processes             500                  500   processes\nMax open files            unlimited  unlimited files\n',
      },
      'warning limits: max processes is 500',
    ],
    [
      checkLimits,
      { '/proc/self/limits': 'Max processes             127000 127000 processes\nMax open files            1048576  1048576 files\n' },
      'ok limits: open files and processes suffice',
    ],
    [checkLimits, {}, 'skipped limits: there is no /proc/self/limits'],
    [checkMps, {}, 'warning mps: nvidia-cuda-mps-control was not found, so there are no MPS shares'],
    [checkNode, {}, 'ok node: 24.1.0'],
    [
      checkClock,
      { '/proc/uptime': '1000.5 900\n', '/proc/stat': `btime ${Date.UTC(2026, 5, 1) / 1000 - 1000}\n` },
      'ok clock: 2026-06-01T00:00:00.000Z',
    ],
    [
      checkClock,
      { '/proc/uptime': '1000.5 900\n', '/proc/stat': `btime ${Date.UTC(2026, 5, 1) / 1000 - 5000}\n` },
      'warning clock: the system time and the time since the boot are 4000 s apart',
    ],
  ])('%o of %o', async (check, texts, line) => {
    expect(lines(await check(machine({ files: filesOf(texts) })))).toEqual([line]);
  });

  it('in a container has a PID namespace of its own', async () => {
    const files = filesOf({}, [], { link: () => Promise.resolve('pid:[4026532441]') });
    expect(lines(await checkPidNamespace(machine({ files })))[0]).toMatch(/^warning pid-namespace: not the host's/);
    const host = filesOf({}, [], { link: () => Promise.resolve('pid:[4026531836]') });
    expect(lines(await checkPidNamespace(machine({ files: host })))[0]).toMatch(/^ok/);
  });

  it('may have a clock of long ago, an old Node, or too long a path for sockets', async () => {
    expect(lines(await checkClock(machine({ nowMs: () => 0 })))).toEqual(['problem clock: the system time is in the year 1970']);
    expect(lines(await checkNode(machine({ process: { nodeVersion: '22.18.0', uid: 0 } })))).toEqual(['problem node: 22.18.0 is too old']);
    const files = filesOf({ '/usr/bin/nvidia-cuda-mps-control': '' });
    expect(lines(await checkMps(machine({ files, settings: { mpsDirectory: `/${'d'.repeat(100)}` } })))).toEqual([
      'ok mps: /usr/bin/nvidia-cuda-mps-control',
      'warning mps-directory: socket paths would take 118 bytes and may have 107',
    ]);
    expect(lines(await checkMps(machine({ files, settings: { mpsDirectory: '/run/astrago/mps' } })))[1]).toMatch(/^ok/);
    const named = { files: filesOf({ '/opt/control': '' }), settings: { mpsControl: '/opt/control' } };
    expect(lines(await checkMps(machine(named)))).toEqual([
      'ok mps: /opt/control',
      'skipped mps-directory: the agent chooses one when it starts',
    ]);
  });

  it.each([
    ['free', 'ok metrics-port: 127.0.0.1:9410 is free'],
    ['agent', 'ok metrics-port: an agent serves /metrics on 127.0.0.1:9410'],
    ['other', 'problem metrics-port: another program listens on 127.0.0.1:9410'],
    [{ refused: 'EACCES' }, 'problem metrics-port: 127.0.0.1:9410 cannot be listened on (EACCES)'],
  ] as const)('has a port that is %o', async (found, line) => {
    const network = { greet: machine().network.greet, listens: () => Promise.resolve(found) };
    expect(lines(await checkMetricsPort(machine({ network })))).toEqual([line]);
  });
});

describe('the data directory', () => {
  const data = { settings: { dataDirectory: '/data' } };

  it.each([
    ['is not there yet', filesOf({}), 0, 'ok data-directory: /data is made when the agent first starts'],
    ['is a file', filesOf({ '/data': '' }), 0, 'problem data-directory: /data is not a directory'],
    ['is read-only', filesOf({ '/data/x': '' }, ['/data']), 0, 'problem data-directory: /data cannot be written'],
    ['is of another user', filesOf({ '/data/x': '' }), 1000, 'warning data-directory: /data belongs to user 0, not to 1000'],
    [
      'is nearly full',
      filesOf({ '/data/x': '' }, [], { freeBytes: () => Promise.resolve(2 ** 20) }),
      0,
      'problem data-directory: 1 MiB are free in /data',
    ],
    [
      'gets full',
      filesOf({ '/data/x': '' }, [], { freeBytes: () => Promise.resolve(2 ** 28) }),
      0,
      'warning data-directory: 256 MiB are free in /data',
    ],
    [
      'is open to all',
      filesOf({ '/data/x': '' }, [], { look: () => Promise.resolve({ kind: 'there', mode: 0o755, uid: 0, directory: true }) }),
      0,
      'warning data-directory: /data is open to other users (mode 755)',
    ],
    ['is well', filesOf({ '/data/x': '' }), 0, 'ok data-directory: /data, 5120 MiB free'],
  ])('%s', async (_what, files, uid, line) => {
    expect(lines(await checkDataDirectory(machine({ ...data, files, process: { nodeVersion: '24.1.0', uid } })))).toEqual([line]);
  });

  it.each([
    [{}, 'ok ledger: nothing is in it yet'],
    [{ '/data/ledger/order.json': '{}', '/data/ledger/steps.jsonl': '{"a":1}\n{"b"' }, 'ok ledger: 2 lines of steps'],
    [{ '/data/ledger/order.json': '{"epo' }, 'problem ledger: order.json is damaged'],
    [{ '/data/ledger/order.json.damaged-1': '' }, 'warning ledger: order.json.damaged-1 was damaged and set aside'],
    [{ '/data/ledger/steps.jsonl': '{"a":1}\ngarbage\n{"a":1}\n' }, 'problem ledger: steps.jsonl is damaged'],
  ])('holds the ledger %o', async (texts, line) => {
    expect(lines(await checkLedger(machine({ ...data, files: filesOf(texts) })))).toEqual([line]);
  });

  it('may be none', async () => {
    const around = machine();
    const findings = await Promise.all([checkDataDirectory, checkLedger, checkCertificates].map((check) => check(around)));
    expect(findings.flat().map(({ verdict }) => verdict)).toEqual(['skipped', 'skipped', 'skipped']);
  });
});

describe('another MIG manager', () => {
  it('is a warning that names it', async () => {
    const found = (names: readonly string[]) => checkMigManager(machine({ migManagers: () => Promise.resolve(names) }));
    expect(lines(await found([]))).toEqual(['ok mig-manager: no other program manages MIG']);
    expect(lines(await found(['the process nvidia-mig-parted (77)']))).toEqual([
      'warning mig-manager: MIG is managed here too by the process nvidia-mig-parted (77)',
    ]);
  });
});
