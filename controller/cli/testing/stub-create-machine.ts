import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const words = process.argv.slice(2);
const directory = words[words.indexOf('--directory') + 1] ?? '';
const model = words[words.indexOf('--model') + 1];
if (model === 'no-such-model') {
  console.error('stub: the simulator does not know no-such-model');
  process.exit(2);
}
mkdirSync(join(directory, 'bin'), { recursive: true });
writeFileSync(join(directory, 'bin', 'nvidia-smi'), '#!/bin/sh\n', { mode: 0o755 });
