import { fittingComputeStarts, nextComputeInstanceId } from './compute-slots.ts';
import { type ComputeProfile, type InstanceProfile, requireProfile } from './gpu-model.ts';
import { migUuid } from './identity.ts';
import { defaultStart, fittingStarts, instanceIdOf } from './instance-slots.ts';
import { exitCodeFor, type Machine, Refusal, requireRoot } from './machine.ts';
import type { GpuInstance, GpuState } from './machine-state.ts';
import { instancesOf, migGpus, noMigDevices } from './mig-listing.ts';
import { changeInstance, endStep, orRefuse, StepFailure } from './state-change.ts';
import { requireMig, scanProcesses } from './telemetry.ts';

/** `mig -cgi a,b,c [-C]`: stops at the first failure and keeps what was made before it. */
export function createInstances(machine: Machine, gpus: readonly GpuState[], list: string, withDefaults: boolean): number {
  requireRoot(machine, 'Failed to create GPU instances: Insufficient Permissions');
  const table = requireMig(machine.model);
  for (const { index, uuid } of migGpus(machine, gpus)) {
    for (const asked of list.split(',')) {
      const { name, start } = parseTuple(asked);
      const profile = findNamed(table.profiles, name);
      const detail = `Unable to create a GPU instance on GPU ${pad(index)} using profile ${name}`;
      const instance = orRefuse(detail, 'Failed to create GPU instances', () => {
        if (!profile) throw new StepFailure('Invalid Argument', exitCodeFor(machine, 'invalid'));
        return changeInstance(machine, uuid, (gpu) => addInstance(machine, gpu, profile, start));
      });
      // orRefuse has thrown for an unknown profile.
      if (!profile) continue;
      machine.answer.print(
        `Successfully created GPU instance ID ${pad(instance.id)} on GPU ${pad(index)} using profile ${profile.name} (ID ${pad(profile.id)})`,
      );
      endStep(machine);
      if (withDefaults) createCompute(machine, uuid, index, instance.id, profile, String(profile.defaultComputeProfileId));
    }
  }
  return 0;
}

/** `mig -cci [list]`: into every GPU instance of the selection; no list means the default profile. */
export function createComputeInstances(
  machine: Machine,
  gpus: readonly GpuState[],
  list: string,
  wanted: (instance: GpuInstance) => boolean,
): number {
  requireRoot(machine, 'Failed to create compute instances: Insufficient Permissions');
  const table = requireMig(machine.model);
  for (const { gpu, instance } of instancesOf(machine, gpus, wanted)) {
    const profile = requireProfile(table, instance.profileId);
    const asked = list === '' ? [String(profile.defaultComputeProfileId)] : list.split(',');
    for (const tuple of asked) createCompute(machine, gpu.uuid, gpu.index, instance.id, profile, tuple);
  }
  return 0;
}

function createCompute(machine: Machine, uuid: string, index: number, instanceId: number, profile: InstanceProfile, tuple: string): void {
  const { name, start } = parseTuple(tuple);
  const wanted = findNamed(profile.computeProfiles, name.replace(/\*$/, ''));
  const where = `on GPU ${pad(index)} GPU instance ID ${pad(instanceId)}`;
  const detail = `Unable to create a compute instance ${where} using profile ${name}`;
  const id = orRefuse(detail, 'Failed to create compute instances', () => {
    if (!wanted) throw new StepFailure('Invalid Argument', exitCodeFor(machine, 'invalid'));
    return changeInstance(machine, uuid, (gpu) => addCompute(machine, gpu, instanceId, profile, wanted, start));
  });
  if (!wanted) return;
  machine.answer.print(`Successfully created compute instance ID ${pad(id)} ${where} using profile ${wanted.name} (ID ${pad(wanted.id)})`);
  endStep(machine);
}

function addInstance(machine: Machine, gpu: GpuState, profile: InstanceProfile, asked: number | undefined): GpuInstance {
  const table = requireMig(machine.model);
  if (!gpu.migCurrent) throw new Refusal(exitCodeFor(machine, 'not-found'), noMigDevices);
  if (asked !== undefined && !profile.starts.includes(asked)) throw new StepFailure('Invalid Argument', exitCodeFor(machine, 'invalid'));
  const wholeHeld = scanProcesses(machine).some((one) => one.gpu.uuid === gpu.uuid && !one.device);
  if (wholeHeld || machine.busyGpus.has(gpu.uuid)) throw inUse(machine);
  const start = asked ?? defaultStart(table, gpu, profile);
  // A taken placement is reported like a full GPU: NVML does not say "exists".
  if (start === undefined || !fittingStarts(table, gpu, profile).includes(start)) {
    throw new StepFailure('Insufficient Resources', exitCodeFor(machine, 'insufficient'));
  }
  const instance = { id: instanceIdOf(table, start, profile.size), profileId: profile.id, start, computeInstances: [] };
  gpu.instances.push(instance);
  return instance;
}

function addCompute(
  machine: Machine,
  gpu: GpuState,
  instanceId: number,
  profile: InstanceProfile,
  wanted: ComputeProfile,
  asked: number | undefined,
): number {
  const instance = gpu.instances.find((candidate) => candidate.id === instanceId);
  if (instance?.profileId !== profile.id) throw new StepFailure('Not Found', exitCodeFor(machine, 'not-found'));
  if (machine.busyGpus.has(gpu.uuid)) throw inUse(machine);
  const fitting = fittingComputeStarts(profile, instance, wanted);
  const start = asked ?? fitting[0];
  if (start === undefined || !fitting.includes(start)) {
    throw new StepFailure('Insufficient Resources', exitCodeFor(machine, 'insufficient'));
  }
  const id = nextComputeInstanceId(instance);
  instance.computeInstances.push({ id, profileId: wanted.id, start, migUuid: migUuid(gpu.uuid, instance.id, id) });
  return id;
}

export function inUse(machine: Machine): StepFailure {
  return new StepFailure('In use by another client', exitCodeFor(machine, 'in-use'));
}

/** `9`, `3g.20gb`, `MIG 3g.20gb`, each with an optional `:start`. */
function parseTuple(text: string): { readonly name: string; readonly start: number | undefined } {
  const [name = '', start] = text.trim().split(':');
  return { name, start: start === undefined ? undefined : Number(start) };
}

function findNamed<P extends { readonly id: number; readonly name: string }>(profiles: readonly P[], name: string): P | undefined {
  if (/^\d+$/.test(name)) return profiles.find((profile) => profile.id === Number(name));
  return profiles.find((profile) => profile.name === name || profile.name === `MIG ${name}`);
}

function pad(number: number): string {
  return String(number).padStart(2);
}
