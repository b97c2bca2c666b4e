// A stand-in for a controller that holds its data directory until it is killed.
import { writeSync } from 'node:fs';
import { lockDirectory } from '../store/directory-lock.ts';

const [directory] = process.argv.slice(2);
if (directory === undefined) throw new Error('hold-lock DIRECTORY');
await lockDirectory(directory);
writeSync(1, 'locked\n');
setInterval(() => undefined, 60_000);
