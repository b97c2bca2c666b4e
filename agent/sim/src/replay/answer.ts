import { type Bundle, type Recorded, sameArgs, withoutId } from './bundle.ts';
import { answerFromTables, csvQuestion } from './csv.ts';
import { findGpu, isAbout, type KnownGpu, knownGpus, partAbout } from './known-gpus.ts';

const seeHelp = "Please run 'nvidia-smi -h' for help.";

/** What the recorded machine would have printed, as far as its bundle tells; else nvidia-smi's refusal of an option. */
export function answerFrom(bundle: Bundle, args: readonly string[]): Recorded {
  const exact = bundle.commands.find((command) => sameArgs(command.args, args));
  if (exact) return bundle.load(exact);
  const { args: whole, id } = withoutId(args);
  const gpu = id === undefined ? undefined : findGpu(knownGpus(bundle), id);
  if (id !== undefined && !gpu) return refusal(args, 6, 'No devices were found');
  const asked = csvQuestion(whole);
  if (asked) {
    const found = answerFromTables(bundle, asked, gpu && ((value) => isAbout(gpu, value)));
    if (found === 'unknown') return unknownOption(args);
    return 'unknownField' in found ? refusal(args, 2, `Field "${found.unknownField}" is not a valid field to query.`) : found;
  }
  return (gpu && narrowed(bundle, whole, gpu)) ?? unknownOption(args);
}

function narrowed(bundle: Bundle, whole: readonly string[], gpu: KnownGpu): Recorded | undefined {
  const command = bundle.commands.find((candidate) => sameArgs(candidate.args, whole));
  const recorded = command && bundle.load(command);
  const stdout = recorded && partAbout(whole, recorded.stdout, gpu);
  return stdout === undefined ? undefined : { ...recorded, args: whole, exitCode: recorded?.exitCode ?? 0, stderr: '', stdout };
}

function unknownOption(args: readonly string[]): Recorded {
  return refusal(args, 2, `ERROR: Option ${args[0] ?? ''} is not recognized. ${seeHelp}`);
}

function refusal(args: readonly string[], exitCode: number, line: string): Recorded {
  return { args, exitCode, stdout: `${line}\n`, stderr: '' };
}
