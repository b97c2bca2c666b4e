import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCgroupLines } from './cgroup-lines.ts';

const id = `${'b9e4a3f2c1d0'.repeat(5)}abcd`;
const other = '0123456789abcdef'.repeat(4);
const uid = '7f3c1e9a-52d4-4b1e-9c1d-0a5b6c7d8e9f';
const underscored = uid.replaceAll('-', '_');
const hash = '187bff14cccb94f179e943eacce55bb3';

describe('the lines of a cgroup file', () => {
  it.each([
    ['v1, cgroupfs', `12:pids:/kubepods/burstable/pod${uid}/${id}\n4:memory:/kubepods/burstable/pod${uid}/${id}\n`, uid, id],
    ['v1, guaranteed', `4:memory:/kubepods/pod${uid}/${id}`, uid, id],
    [
      'v1, systemd, containerd',
      `1:name=systemd:/system.slice/containerd.service/kubepods-burstable-pod${underscored}.slice:cri-containerd:${id}`,
      uid,
      id,
    ],
    [
      'v1 where one controller is still that of the runtime',
      `13:misc:/\n5:devices:/system.slice/containerd.service\n4:memory:/kubepods/besteffort/pod${uid}/${id}\n0::/system.slice/containerd.service`,
      uid,
      id,
    ],
    [
      'v2, systemd, containerd',
      `0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${underscored}.slice/cri-containerd-${id}.scope`,
      uid,
      id,
    ],
    ['v2, systemd, guaranteed', `0::/kubepods.slice/kubepods-pod${underscored}.slice/cri-containerd-${id}.scope`, uid, id],
    ['v2, CRI-O', `0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${underscored}.slice/crio-${id}.scope`, uid, id],
    ['v2, CRI-O with a group inside', `0::/kubepods.slice/kubepods-pod${underscored}.slice/crio-${id}.scope/container`, uid, id],
    ['CRI-O, cgroupfs', `0::/kubepods/pod${uid}/crio-${id}`, uid, id],
    ['the monitor of CRI-O', `0::/kubepods.slice/kubepods-pod${underscored}.slice/crio-conmon-${id}.scope`, uid, undefined],
    ['cri-dockerd', `0::/kubepods.slice/kubepods-pod${underscored}.slice/docker-${id}.scope`, uid, id],
    ['a static pod, cgroupfs', `4:memory:/kubepods/burstable/pod${hash}/${id}`, hash, id],
    ['a static pod, systemd', `0::/kubepods.slice/kubepods-burstable-pod${hash}.slice/cri-containerd-${id}.scope`, hash, id],
    ['seen from another namespace', `0::/../../kubepods-pod${underscored}.slice/cri-containerd-${id}.scope`, uid, id],
    ['a cluster in a container', `0::/system.slice/docker-${other}.scope/kubelet/kubepods/besteffort/pod${uid}/${id}`, uid, id],
    ['docker, cgroupfs', `12:pids:/docker/${id}\n1:name=systemd:/docker/${id}`, undefined, id],
    ['docker, systemd', `0::/system.slice/docker-${id}.scope`, undefined, id],
    ['docker, rootless', `0::/user.slice/user-1000.slice/user@1000.service/user.slice/docker-${id}.scope`, undefined, id],
    ['podman', `0::/machine.slice/libpod-${id}.scope/container`, undefined, id],
    ['a pod of podman', `0::/machine.slice/machine-libpod_pod_${other}.slice/libpod-${id}.scope`, undefined, id],
    ['the monitor of podman', `0::/machine.slice/libpod-conmon-${id}.scope`, undefined, undefined],
    ['nerdctl', `0::/system.slice/nerdctl-${id}.scope`, undefined, id],
    ['a service', '0::/system.slice/nvidia-persistenced.service', undefined, undefined],
    ['a session', '0::/user.slice/user-1000.slice/session-3.scope', undefined, undefined],
    ['a hidden place', '0::/', undefined, undefined],
    ['a name that only looks like a pod', '0::/kubepods/podinfo/pod-1234', undefined, undefined],
    ['a longer number', `0::/docker/${id}${id}`, undefined, undefined],
    ['nothing', '', undefined, undefined],
  ])('of %s', (_, text, podUid, containerId) => {
    expect(parseCgroupLines(text)).toEqual({ podUid, containerId });
  });

  it('never throw, and never name what is not in them', () => {
    const piece = fc.oneof(
      fc.string(),
      fc.constantFrom(
        '/',
        ':',
        '-',
        '_',
        '.slice',
        '.scope',
        'pod',
        'kubepods',
        'crio-',
        'libpod_pod_',
        id,
        uid,
        underscored,
        hash,
        '0::',
        '\n',
      ),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const text = pieces.join('');
        const { podUid, containerId } = parseCgroupLines(text);
        if (containerId !== undefined) expect(containerId).toMatch(/^[0-9a-f]{64}$/);
        if (podUid !== undefined) expect(podUid.replaceAll('-', '')).toMatch(/^[0-9a-f]{32}$/);
        expect(text).toContain(containerId ?? '');
        expect(text.replaceAll('_', '-')).toContain(podUid ?? '');
      }),
    );
  });

  it('are read in a time that does not depend on what they say', () => {
    const long = `0::/${'pod7f3c1e9a-'.repeat(100_000)}${'a'.repeat(100_000)}`;
    expect(parseCgroupLines(long)).toEqual({ podUid: undefined, containerId: undefined });
  });
});
