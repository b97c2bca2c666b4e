import { describe, expect, it } from 'vitest';
import { realDevices, realFileSystems } from './real-devices.ts';

describe('what belongs to the machine', () => {
  it('are network devices with a cable, not the ends of containers, and nothing that a shell would read', () => {
    expect(realDevices(['lo', 'eth0', 'ib0', 'enp1s0f0np0.100', 'veth12ab', 'docker0', 'cali1', 'br-1', 'a;b', '-x', 'a b'])).toEqual([
      'eth0',
      'ib0',
      'enp1s0f0np0.100',
    ]);
    expect(realDevices(Array.from({ length: 100 }, (_, index) => `eth${index}`))).toHaveLength(32);
  });

  it('are disks and shares, each once at its shortest mount point', () => {
    const one = (fs: string, type: string, mount: string, size = 100) => ({
      fs,
      type,
      size,
      used: 0,
      available: 40,
      use: 0,
      mount,
      rw: true,
    });
    const found = realFileSystems([
      one('/dev/sda1', 'ext4', '/var/lib/kubelet/pods/1/volumes/data'),
      one('/dev/sda1', 'ext4', '/'),
      one('overlay', 'overlay', '/var/lib/docker/overlay2/1/merged'),
      one('/dev/loop1', 'squashfs', '/snap/core'),
      one('efivarfs', 'efivarfs', '/sys/firmware/efi/efivars'),
      one('store:/scratch', 'nfs4', '/scratch'),
      one('/dev/sdb', 'xfs', '/empty', 0),
    ]);

    expect(found?.map(({ mountPoint, type }) => [mountPoint, type])).toEqual([
      ['/', 'ext4'],
      ['/scratch', 'nfs4'],
    ]);
  });

  it('is the root of a container, whatever it is made of', () => {
    const root = { fs: 'overlay', type: 'overlay', size: 100, used: 0, available: 40, use: 0, mount: '/', rw: true };

    expect(realFileSystems([root])).toEqual([{ mountPoint: '/', type: 'overlay', sizeBytes: 100, availableBytes: 40 }]);
  });
});
