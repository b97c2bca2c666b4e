import { Answer } from './answer.ts';
import { pause } from './pause.ts';
import { answerFrom } from './replay/answer.ts';
import { openBundle, withoutLoop } from './replay/bundle.ts';
import { csvQuestion } from './replay/csv.ts';

// One call of the nvidia-smi of a support bundle: its directory, then what the caller typed.
const [, , bundleDirectory = '', ...typed] = process.argv;
const { args, periodMs } = withoutLoop(typed);
const { exitCode, stdout, stderr } = answerFrom(openBundle(bundleDirectory), args);
const headed = csvQuestion(args.filter((arg) => arg.startsWith('--query') || arg.startsWith('--format')))?.header ?? false;
for (let round = 0; ; round += 1) {
  const answer = new Answer();
  // A loop prints its header once.
  answer.printRaw(round > 0 && headed ? stdout.slice(stdout.indexOf('\n') + 1) : stdout);
  answer.complainRaw(stderr);
  answer.flush((text) => text, 1);
  if (periodMs === undefined || exitCode !== 0) break;
  pause(Math.max(periodMs, 1));
}
process.exitCode = exitCode;
