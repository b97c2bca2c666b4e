// A stand-in for an agent that is killed: starts one command through the launcher, says so, and stays.
import type { LaunchRequest } from '../app/ports.ts';
import { LocalLauncher } from '../processes/launcher.ts';
import { readBootId } from '../processes/proc.ts';

const [directory, request] = process.argv.slice(2);
if (directory === undefined || request === undefined) throw new Error('start-and-wait DIRECTORY REQUEST');
const launcher = new LocalLauncher({
  directory,
  bootId: readBootId(),
  environment: { PATH: process.env['PATH'] ?? '' },
  onExit: () => undefined,
});
await launcher.start(JSON.parse(request) as LaunchRequest);
process.stdout.write('started\n');
setInterval(() => undefined, 1000);
