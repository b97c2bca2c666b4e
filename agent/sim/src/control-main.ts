import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { rebootMachine } from './create.ts';
import { appendKernelLine, appendXid, type Xid } from './kernel-log.ts';
import { send } from './mps/wire.ts';
import { selectGpus } from './selected-gpus.ts';
import { readState } from './state-file.ts';

const usage = `usage: control-main.ts reboot --directory D
       control-main.ts xid --directory D --gpu N|UUID --code 79 [--pid P|unknown [--name N]] [--text T] [--long-domain] [--gi ID [--ci ID]]
       control-main.ts kmsg --directory D --text T
       control-main.ts mps-fault --pipe CUDA_MPS_PIPE_DIRECTORY [--pid P]`;

const { values, positionals } = parseArgs({
  options: {
    directory: { type: 'string' },
    pipe: { type: 'string' },
    pid: { type: 'string' },
    name: { type: 'string' },
    gpu: { type: 'string' },
    code: { type: 'string' },
    text: { type: 'string' },
    gi: { type: 'string' },
    ci: { type: 'string' },
    'long-domain': { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const [what] = positionals;
const directory = values.directory === undefined ? undefined : resolve(values.directory);

if (what === 'reboot' && directory !== undefined) rebootMachine(directory);
else if (what === 'xid' && directory !== undefined && /^\d+$/.test(values.code ?? '')) writeXid(directory);
else if (what === 'kmsg' && directory !== undefined && values.text !== undefined) console.log(appendKernelLine(directory, values.text));
else if (what === 'mps-fault' && values.pipe !== undefined) faultClient(values.pipe);
else fail(usage);

function writeXid(machine: string): void {
  const [gpu] = selectGpus(readState(machine).gpus, values.gpu ?? '0') ?? [];
  if (!gpu) {
    fail(`there is no GPU ${values.gpu}`);
    return;
  }
  const { code, text, gi, ci } = values;
  const slice = { gpuInstanceId: gi === undefined ? undefined : Number(gi), computeInstanceId: ci === undefined ? undefined : Number(ci) };
  console.log(appendXid(machine, { gpu, code: Number(code), process: processOf(), text, longDomain: values['long-domain'], ...slice }));
}

function processOf(): Xid['process'] {
  if (values.pid === undefined) return { kind: 'none' };
  if (values.pid === 'unknown') return { kind: 'unknown' };
  return { kind: 'known', pid: Number(values.pid), name: values.name === '' ? undefined : (values.name ?? nameOf(values.pid)) };
}

function nameOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return 'python';
  }
}

/** As if a client had met a fatal error, for clients that are not ours to signal. */
function faultClient(pipe: string): void {
  const socket = connect(join(pipe, 'control'), () => {
    send(socket, { kind: 'fault', pid: Number(values.pid ?? '0') });
    socket.end();
  });
}

function fail(message: string): void {
  console.error(message);
  process.exitCode = 2;
}
