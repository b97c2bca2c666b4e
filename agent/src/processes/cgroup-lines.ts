// Which pod and container a process is in, from the lines of its `/proc/<pid>/cgroup`.
import type { CgroupPlace } from '../app/attribution.ts';

/** A kernel prints a path of at most 4096 bytes, and version 1 has a line for each of a dozen controllers. */
const textMax = 64 * 1024;

/**
 * `pod<uid>` as a path component of its own (cgroupfs driver) or at the end of a slice's name (systemd driver, which
 * writes `_` for `-`). The uid is a UUID, or for a static pod the 32 digits of a hash. `libpod` is podman's, and no pod.
 */
const podPattern = /(?:^|[/-])pod([0-9a-f]{8}([-_]?)[0-9a-f]{4}\2[0-9a-f]{4}\2[0-9a-f]{4}\2[0-9a-f]{12})(?=\.slice|[/:]|$)/g;

/** Every runtime names containers by 64 hexadecimal digits: bare, or between its own prefix and `.scope`. */
const containerPattern = /(?<![0-9a-zA-Z_])(?:([a-z][a-z-]*)[-:])?([0-9a-f]{64})(?![0-9a-zA-Z_])/g;

/** CRI-O and podman put the monitor of a container beside it, under the same id. */
const monitor = /conmon$/;

/**
 * Both cgroup versions, the cgroupfs and the systemd driver, containerd, CRI-O, Docker and podman. Takes anything and
 * never throws; what says nothing gives nothing. Nothing is to be seen either from inside a cgroup namespace of one's
 * own (`0::/`): then the agent must be given the host's.
 *
 * Source of the forms: the kubelet's cgroup manager and recorded lines of the runtimes.
 */
export function parseCgroupLines(text: string): CgroupPlace {
  const lines = text
    .slice(0, textMax)
    .split('\n')
    .map((line) => line.split(':').slice(2).join(':'));
  const places = lines.map(placeOf);
  // A controller of version 1 may be left where the runtime itself is; the line that says most is right.
  return (
    places.find(({ podUid, containerId }) => podUid !== undefined && containerId !== undefined) ?? places.find(saysSomething) ?? nowhere
  );
}

const nowhere: CgroupPlace = { podUid: undefined, containerId: undefined };

function saysSomething({ podUid, containerId }: CgroupPlace): boolean {
  return podUid !== undefined || containerId !== undefined;
}

function placeOf(path: string): CgroupPlace {
  // A cluster inside a container has both kinds twice; the innermost is where the process is.
  const pod = [...path.matchAll(podPattern)].at(-1)?.[1];
  const inner = [...path.matchAll(containerPattern)].at(-1);
  const container = inner === undefined || monitor.test(inner[1] ?? '') || isPodGroup(path, inner.index) ? undefined : inner[2];
  return { podUid: pod?.replaceAll('_', '-'), containerId: container };
}

/** Podman's own pods are slices named by 64 digits too: `machine-libpod_pod_<id>.slice`. */
function isPodGroup(path: string, at: number): boolean {
  return path
    .slice(at)
    .replace(/^[^/]*?[0-9a-f]{64}/, '')
    .startsWith('.slice');
}
