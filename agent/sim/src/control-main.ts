import { parseArgs } from 'node:util';
import { rebootMachine } from './create.ts';

const { values, positionals } = parseArgs({ options: { directory: { type: 'string' } }, allowPositionals: true });

if (positionals[0] === 'reboot' && values.directory !== undefined) rebootMachine(values.directory);
else {
  console.error('usage: control-main.ts reboot --directory D');
  process.exitCode = 2;
}
