// What nvidia-smi says of driver and GPUs: one command after the other, none after one that hangs.
import { DriverFault, type ObservedGpu } from '../../app/ports.ts';
import { type Finding, ok, problem, unknown, warning } from '../finding.ts';
import type { SmiAnswer, Surroundings } from '../surroundings.ts';
import { checkTopology } from './topology.ts';

/** Loading and unloading the driver for each call takes longer than that; a call to one that stays loaded does not. */
const slowMs = 2000;
const look = 'Look for Xid and NVRM lines in the kernel log; a command that never ends needs a reboot.';

export async function checkDriver(around: Surroundings): Promise<readonly Finding[]> {
  const listing = await around.smi(['-L']);
  if (listing.kind === 'not-started')
    return [
      problem(
        'nvidia-smi',
        `${around.settings.nvidiaSmi} cannot be started (${listing.reason})`,
        'Install the NVIDIA driver, or name its nvidia-smi in ASTRAGO_NVIDIA_SMI.',
      ),
    ];
  if (listing.kind === 'given-up') return [gaveUp('-L', listing.ms)];
  const words = `${listing.stdout}\n${listing.stderr}`;
  if (listing.exitCode !== 0 && !/No devices were found/i.test(words)) return [failing(listing.exitCode, words)];
  const findings: Finding[] = [
    listing.ms > slowMs
      ? warning(
          'nvidia-smi',
          `takes ${seconds(listing.ms)} for a listing`,
          'Keep the driver loaded: run nvidia-persistenced, or nvidia-smi -pm 1.',
        )
      : ok('nvidia-smi', `answers in ${seconds(listing.ms)}`),
  ];
  const version = await checkVersion(around);
  findings.push(...version.findings);
  if (version.hangs) return findings;
  findings.push(listed(words));
  if (!/^GPU \d+:/m.test(words)) return findings;
  const modes = await around.smi(['--query-gpu=index,persistence_mode,compute_mode', '--format=csv,noheader']);
  findings.push(...checkModes(modes));
  if (modes.kind === 'given-up') return findings;
  const mig = await checkMig(around);
  findings.push(mig);
  if (mig.verdict !== 'problem') findings.push(await checkTopology(around));
  return findings;
}

function gaveUp(command: string, ms: number): Finding {
  return problem('nvidia-smi', `nvidia-smi ${command} did not end within ${seconds(ms)}`, look);
}

function failing(exitCode: number | undefined, words: string): Finding {
  const said = firstLine(words);
  if (/version mismatch/i.test(words) || exitCode === 18)
    return problem('driver', `kernel module and library are of different versions (${said})`, 'Reboot, or load the kernel modules anew.');
  if (/couldn't communicate|not loaded/i.test(words) || exitCode === 9)
    return problem(
      'driver',
      `the driver is not loaded (${said})`,
      'Run modprobe nvidia; where that fails, dkms status and the kernel log say why.',
    );
  if (/libnvidia-ml/i.test(words) || exitCode === 12)
    return problem('driver', `the driver's library is missing (${said})`, 'Install libnvidia-ml of the same version as the driver.');
  if (/Insufficient Permissions/i.test(words) || exitCode === 4)
    return problem('driver', `this user may not ask the driver (${said})`, 'Run the agent as root, or let its user read /dev/nvidia*.');
  return problem('nvidia-smi', `nvidia-smi -L ended with ${exitCode ?? 'a signal'} (${said})`, look);
}

async function checkVersion(around: Surroundings): Promise<{ readonly findings: readonly Finding[]; readonly hangs: boolean }> {
  let answer = await around.smi(['--version']);
  // Old drivers have it only in the summary.
  if (answer.kind === 'ended' && answer.exitCode !== 0) answer = await around.smi([]);
  if (answer.kind === 'given-up') return { findings: [gaveUp('--version', answer.ms)], hangs: true };
  const words = answer.kind === 'ended' && answer.exitCode === 0 ? answer.stdout : '';
  const library = /(?:KMD|DRIVER) version\s*:\s*(\d[\d.]+)/i.exec(words)?.[1];
  const cuda = /CUDA (?:UMD )?Version\s*:\s*(\d[\d.]+)/i.exec(words)?.[1];
  const kernel = /Kernel Module.*?\s(\d+\.\d[\d.]*)\s/.exec((await around.files.readText('/proc/driver/nvidia/version')) ?? '')?.[1];
  const shown = library ?? kernel;
  if (shown === undefined) return { findings: [unknown('driver', 'its version was not told')], hangs: false };
  if (library !== undefined && kernel !== undefined && library !== kernel)
    return {
      findings: [problem('driver', `kernel module ${kernel}, library ${library}`, 'Reboot, or load the kernel modules anew.')],
      hangs: false,
    };
  return { findings: [ok('driver', `${shown}, CUDA ${cuda ?? 'unknown'}`)], hangs: false };
}

function listed(words: string): Finding {
  const gpus = words.match(/^GPU \d+:.*$/gm) ?? [];
  const lost = words.split('\n').filter((line) => /Unable to determine the device handle|GPU is lost|fallen off the bus/i.test(line));
  if (lost.length > 0)
    return problem(
      'gpus',
      `${gpus.length} listed, ${lost.length} lost (${firstLine(lost.join('\n'))})`,
      'Reboot; if it comes again, the board or its slot is at fault.',
    );
  if (gpus.length === 0)
    return warning(
      'gpus',
      'the driver lists none',
      'Look whether lspci shows them; a board that it shows and the driver does not may be in use by a virtual machine.',
    );
  return ok('gpus', `${gpus.length} listed`);
}

function checkModes(answer: SmiAnswer): readonly Finding[] {
  if (answer.kind === 'given-up') return [gaveUp('--query-gpu', answer.ms)];
  const rows =
    answer.kind === 'ended' && answer.exitCode === 0
      ? answer.stdout
          .trim()
          .split('\n')
          .map((line) => line.split(',').map((cell) => cell.trim()))
      : [];
  const gpusWith = (column: number, value: RegExp): readonly string[] =>
    rows.filter((row) => row.length === 3 && value.test(row[column] ?? '')).map(([index = '?']) => index);
  const off = gpusWith(1, /^Disabled$/);
  const on = gpusWith(1, /^Enabled$/);
  const plain = gpusWith(2, /^Default$/);
  const exclusive = gpusWith(2, /^Exclusive_(Process|Thread)$/);
  const prohibited = gpusWith(2, /^Prohibited$/);
  const persistence =
    off.length > 0
      ? warning(
          'persistence-mode',
          `off on ${gpus(off)}, so the driver starts anew for each command`,
          'Run nvidia-persistenced, or nvidia-smi -pm 1.',
        )
      : on.length > 0
        ? ok('persistence-mode', 'on')
        : unknown('persistence-mode', 'the driver does not tell');
  const compute =
    prohibited.length > 0
      ? problem(
          'compute-mode',
          `prohibited on ${gpus(prohibited)}, so nothing can compute there`,
          'Set it to DEFAULT: nvidia-smi -i GPU -c DEFAULT.',
        )
      : exclusive.length > 0
        ? warning(
            'compute-mode',
            `exclusive on ${gpus(exclusive)}, so one process at a time gets in`,
            'Leave it where MPS or exclusive allocations want it; else set it to DEFAULT: nvidia-smi -i GPU -c DEFAULT.',
          )
        : plain.length > 0
          ? ok('compute-mode', 'default')
          : unknown('compute-mode', 'the driver does not tell');
  return [persistence, compute];
}

async function checkMig({ driver }: Surroundings): Promise<Finding> {
  let seen: readonly ObservedGpu[];
  try {
    seen = (await driver.observe(new AbortController().signal)).gpus;
  } catch (fault) {
    if (!(fault instanceof DriverFault)) throw fault;
    if (fault.code === 'timed-out' || fault.code === 'busy-with-hung-command')
      return problem('mig', `a listing does not end (${firstLine(fault.message)})`, look);
    return unknown('mig', `the GPUs could not be listed (${firstLine(fault.message)})`);
  }
  const indexes = (some: (gpu: ObservedGpu) => boolean): readonly string[] => seen.filter(some).map((gpu) => String(gpu.index));
  const pending = indexes((gpu) => gpu.migPending !== undefined);
  const silent = indexes((gpu) => gpu.migEnabled && gpu.profiles.length === 0);
  const parts = [
    [
      `on for ${seen.filter((gpu) => gpu.migEnabled).reduce((sum, gpu) => sum + gpu.slices.length, 0)} slices on`,
      indexes((gpu) => gpu.migEnabled),
    ],
    ['off on', indexes((gpu) => gpu.migCapable && !gpu.migEnabled)],
    ['not offered by', indexes((gpu) => !gpu.migCapable)],
  ] as const;
  const text = parts.flatMap(([words, list]) => (list.length === 0 ? [] : [`${words} ${gpus(list)}`])).join(', ');
  if (pending.length > 0)
    return warning(
      'mig',
      `${text}; another mode is pending on ${gpus(pending)}`,
      'Reset these GPUs when nothing runs on them: nvidia-smi -i GPU --gpu-reset.',
    );
  if (silent.length > 0)
    return warning('mig', `${text}; no profiles are listed by ${gpus(silent)}`, 'Look whether nvidia-smi mig -lgip works for this user.');
  return ok('mig', text);
}

function gpus(indexes: readonly string[]): string {
  return `GPU ${indexes.join(', ')}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 1000 ? 2 : 1)} s`;
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0]?.slice(0, 200) ?? '';
}
