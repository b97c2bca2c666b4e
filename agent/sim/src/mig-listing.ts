import { freeComputeCount, possibleStarts } from './compute-slots.ts';
import { requireComputeProfile, requireProfile } from './gpu-model.ts';
import { freeCount, listedInstances } from './instance-slots.ts';
import { exitCodeFor, type Machine, Refusal, requireRoot } from './machine.ts';
import type { GpuInstance, GpuState } from './machine-state.ts';
import { requireMig } from './telemetry.ts';

export const noMigDevices = 'No MIG-enabled devices found.';
export const noInstances = 'No GPU instances found: Not Found';

/** From 575 on the name column is two wider, and profiles are listed with MIG off as well. */
function isWide(machine: Machine): boolean {
  return machine.driver.major >= 575;
}

/** GPUs of the list with MIG on; none at all is an error exit. */
export function migGpus(machine: Machine, gpus: readonly GpuState[]): readonly GpuState[] {
  const enabled = gpus.filter((gpu) => gpu.migCurrent);
  if (enabled.length === 0) throw new Refusal(exitCodeFor(machine, 'not-found'), noMigDevices);
  return enabled;
}

/** `mig -lgip` */
export function listProfiles(machine: Machine, gpus: readonly GpuState[]): number {
  const { answer } = machine;
  const wide = isWide(machine);
  if (!machine.model.mig && wide) throw new Refusal(exitCodeFor(machine, 'not-found'), 'No MIG-supported devices found.');
  const listed = wide ? gpus : migGpus(machine, gpus);
  const table = requireMig(machine.model);
  const nameWidth = wide ? 18 : 16;
  const gap = ' '.repeat(nameWidth - 16);
  const rule = `+${'-'.repeat(61 + nameWidth)}+`;
  answer.print(rule);
  answer.print(`| GPU instance profiles:                                                      ${gap}|`);
  answer.print(`| GPU   Name             ${gap}ID    Instances   Memory     P2P    SM    DEC   ENC  |`);
  answer.print(`|                              ${gap}Free/Total   GiB              CE    JPEG  OFA  |`);
  answer.print(`|${'='.repeat(61 + nameWidth)}|`);
  for (const gpu of listed) {
    for (const profile of table.profiles) {
      const free = `${freeCount(table, gpu, profile)}/${profile.instancesTotal}`;
      const first = `${String(gpu.index).padStart(4)}  ${profile.name.padEnd(nameWidth)}${String(profile.id).padStart(4)}     ${free.padEnd(11)}`;
      const second = `${profile.memoryGiB.padEnd(11)}No     ${String(profile.sm).padEnd(7)}${String(profile.dec).padEnd(6)}${String(profile.enc).padEnd(4)}`;
      answer.print(`|${first}${second}|`);
      answer.print(
        `|${' '.repeat(44 + nameWidth)} ${String(profile.ce).padEnd(6)}${String(profile.jpeg).padEnd(6)}${String(profile.ofa).padEnd(4)}|`,
      );
      answer.print(rule);
    }
  }
  return 0;
}

/** `mig -lgipp`; a single placement is worded differently. */
export function listPlacements(machine: Machine, gpus: readonly GpuState[]): number {
  if (!machine.model.mig) throw new Refusal(exitCodeFor(machine, 'not-found'), 'No MIG-supported devices found.');
  const listed = isWide(machine) ? gpus : migGpus(machine, gpus);
  for (const gpu of listed) {
    for (const profile of machine.model.mig.profiles) {
      const word = profile.starts.length === 1 ? 'Placement :' : 'Placements:';
      const id = String(profile.id).padStart(2);
      machine.answer.print(`GPU ${String(gpu.index).padStart(2)} Profile ID ${id} ${word} {${profile.starts.join(',')}}:${profile.size}`);
    }
  }
  return 0;
}

/** `mig -lgi` */
export function listInstances(machine: Machine, gpus: readonly GpuState[]): number {
  const { answer } = machine;
  requireRoot(machine, 'Failed to display GPU instances: Insufficient Permissions', 'No GPU instances found: Insufficient Permissions');
  const enabled = migGpus(machine, gpus);
  const table = requireMig(machine.model);
  if (enabled.every((gpu) => gpu.instances.length === 0)) throw new Refusal(exitCodeFor(machine, 'not-found'), noInstances);
  const nameWidth = isWide(machine) ? 18 : 16;
  const gap = ' '.repeat(nameWidth - 16);
  const rule = `+${'-'.repeat(39 + nameWidth)}+`;
  answer.print(rule);
  answer.print(`| GPU instances:                                        ${gap}|`);
  answer.print(`| GPU   Name             ${gap}Profile  Instance   Placement  |`);
  answer.print(`|                          ${gap}ID       ID       Start:Size |`);
  answer.print(`|${'='.repeat(39 + nameWidth)}|`);
  for (const gpu of enabled) {
    for (const instance of listedInstances(table, gpu)) {
      const profile = requireProfile(table, instance.profileId);
      const ids = `${String(profile.id).padStart(6)}${String(instance.id).padStart(9)}`;
      answer.print(`|${String(gpu.index).padStart(4)}  ${profile.name.padEnd(nameWidth)}${ids}${placement(instance.start, profile.size)}|`);
      answer.print(rule);
    }
  }
  return 0;
}

/** `mig -lci` */
export function listComputeInstances(machine: Machine, gpus: readonly GpuState[], wanted: (instance: GpuInstance) => boolean): number {
  const { answer } = machine;
  requireRoot(machine, 'Failed to display compute instances: Insufficient Permissions');
  const table = requireMig(machine.model);
  const rows = instancesOf(machine, gpus, wanted).flatMap(({ gpu, instance }) =>
    instance.computeInstances.map((compute) => ({ gpu, instance, compute })),
  );
  if (rows.length === 0) throw new Refusal(exitCodeFor(machine, 'not-found'), 'No compute instances found: Not Found');
  const rule = `+${'-'.repeat(68)}+`;
  answer.print(rule);
  answer.print('| Compute instances:                                                 |');
  answer.print('| GPU     GPU       Name             Profile   Instance   Placement  |');
  answer.print('|       Instance                       ID        ID       Start:Size |');
  answer.print('|         ID                                                         |');
  answer.print(`|${'='.repeat(68)}|`);
  for (const { gpu, instance, compute } of rows) {
    const profile = requireComputeProfile(requireProfile(table, instance.profileId), compute.profileId);
    const ids = `${String(gpu.index).padStart(4)}${String(instance.id).padStart(7)}       ${profile.name.padEnd(18)}`;
    const numbers = `${String(profile.id).padStart(4)}${String(compute.id).padStart(10)}`;
    answer.print(`|${ids}${numbers}${placement(compute.start, profile.slices)}|`);
    answer.print(rule);
  }
  return 0;
}

/** `mig -lcip`; the star marks the compute profile that fills its GPU instance. */
export function listComputeProfiles(machine: Machine, gpus: readonly GpuState[], wanted: (instance: GpuInstance) => boolean): number {
  const { answer } = machine;
  const table = requireMig(machine.model);
  const rule = `+${'-'.repeat(86)}+`;
  const rows = instancesOf(machine, gpus, wanted);
  answer.print(rule);
  answer.print('| Compute instance profiles:                                                           |');
  answer.print('| GPU     GPU       Name             Profile  Instances   Exclusive       Shared       |');
  answer.print('|       Instance                       ID     Free/Total     SM       DEC   ENC   OFA  |');
  answer.print('|         ID                                                          CE    JPEG       |');
  answer.print(`|${'='.repeat(86)}|`);
  for (const { gpu, instance } of rows) {
    const profile = requireProfile(table, instance.profileId);
    for (const compute of profile.computeProfiles) {
      const star = compute.id === profile.defaultComputeProfileId ? '*' : ' ';
      const ids = `${String(gpu.index).padStart(4)}${String(instance.id).padStart(7)}       ${compute.name.padEnd(18)}${String(compute.id).padStart(4)}${star}`;
      const free = `${freeComputeCount(profile, instance, compute)}/${compute.instancesTotal}`;
      const engines = `${String(profile.dec).padEnd(6)}${String(profile.enc).padEnd(6)}${String(profile.ofa).padEnd(4)}`;
      answer.print(`|${ids}     ${free.padEnd(14)}${String(compute.sm).padEnd(10)}${engines}|`);
      answer.print(`|${' '.repeat(70)}${String(profile.ce).padEnd(6)}${String(profile.jpeg).padEnd(10)}|`);
      answer.print(rule);
    }
  }
  return 0;
}

/** `mig -lcipp`, worded after `-lgipp`: no recording shows it. */
export function listComputePlacements(machine: Machine, gpus: readonly GpuState[], wanted: (instance: GpuInstance) => boolean): number {
  const table = requireMig(machine.model);
  for (const { gpu, instance } of instancesOf(machine, gpus, wanted)) {
    const profile = requireProfile(table, instance.profileId);
    for (const compute of profile.computeProfiles) {
      const starts = possibleStarts(profile, compute).toSorted((a, b) => a - b);
      const word = starts.length > 1 ? 'Placements:' : 'Placement :';
      const where = `GPU ${String(gpu.index).padStart(2)} GI ${String(instance.id).padStart(2)} Profile ID ${String(compute.id).padStart(2)}`;
      machine.answer.print(`${where} ${word} {${starts.join(',')}}:${compute.slices}`);
    }
  }
  return 0;
}

/** Instances in the order of `-lgi`, narrowed by `-gi`; none at all is an error exit. */
export function instancesOf(
  machine: Machine,
  gpus: readonly GpuState[],
  wanted: (instance: GpuInstance) => boolean,
): readonly { readonly gpu: GpuState; readonly instance: GpuInstance }[] {
  const enabled = migGpus(machine, gpus);
  const table = requireMig(machine.model);
  const rows = enabled.flatMap((gpu) =>
    listedInstances(table, gpu)
      .filter(wanted)
      .map((instance) => ({ gpu, instance })),
  );
  if (rows.length === 0) throw new Refusal(exitCodeFor(machine, 'not-found'), noInstances);
  return rows;
}

function placement(start: number, size: number): string {
  return `${String(start).padStart(11)}:${String(size).padEnd(6)}`;
}
