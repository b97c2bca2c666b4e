import { connect } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { rebootMachine } from './create.ts';
import { send } from './mps/wire.ts';

const { values, positionals } = parseArgs({
  options: { directory: { type: 'string' }, pipe: { type: 'string' }, pid: { type: 'string' } },
  allowPositionals: true,
});
const [what] = positionals;

if (what === 'reboot' && values.directory !== undefined) rebootMachine(values.directory);
else if (what === 'mps-fault' && values.pipe !== undefined) {
  // As if a client had met a fatal error, for clients that are not ours to signal.
  const socket = connect(join(values.pipe, 'control'), () => {
    send(socket, { kind: 'fault', pid: Number(values.pid ?? '0') });
    socket.end();
  });
} else {
  console.error('usage: control-main.ts reboot --directory D');
  console.error('       control-main.ts mps-fault --pipe CUDA_MPS_PIPE_DIRECTORY [--pid P]');
  process.exitCode = 2;
}
