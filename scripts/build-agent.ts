// Builds the agent as it is shipped: transpiled and in one piece, so that it starts fast and carries no compiler along.
//
//   node scripts/build-agent.ts     prints the program's path; builds only when a source has changed
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { rolldown } from 'rolldown';

const root = join(import.meta.dirname, '..');
const output = join(root, 'agent/dist');
/** A running agent loads parts of itself late, so the last builds stay. */
const keptMax = 3;
/**
 * The agent runs beside work that needs the memory, and does little at a time: no optimised code, which costs more to make
 * than it saves here (baseline code is cheap), a small young generation, few arenas of malloc, one thread for V8's chores,
 * and a heap that ends long before the node's.
 */
const nodeFlags = [
  '--no-opt',
  '--no-maglev',
  '--sparkplug',
  '--lazy-feedback-allocation',
  '--optimize-for-size',
  '--v8-pool-size=1',
  '--max-semi-space-size=1',
  '--max-old-space-size=256',
];
const launcher = `#!/bin/sh
export MALLOC_ARENA_MAX="\${MALLOC_ARENA_MAX:-2}"
exec "\${ASTRAGO_NODE:-node}" ${nodeFlags.join(' ')} "\${0%/*}/main.js" "$@"
`;

const sources = ['agent/core', 'agent/src', 'shared/domain', 'shared/runtime', 'proto/src'];

function filesOf(directory: string): readonly string[] {
  return readdirSync(join(root, directory), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.test.ts') && !/\/testing$/.test(entry.parentPath))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function digestOf(files: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of files)
    hash
      .update(`${file.slice(root.length)}\0`)
      .update(readFileSync(file))
      .update('\0');
  return hash.digest('hex').slice(0, 16);
}

async function build(directory: string, files: readonly string[]): Promise<void> {
  const draft = `${directory}.${process.pid}.new`;
  mkdirSync(draft, { recursive: true });
  const bundle = await rolldown({ input: join(root, 'agent/src/main.ts'), platform: 'node', cwd: root, logLevel: 'warn' });
  await bundle.write({ dir: draft, format: 'esm', comments: false });
  await bundle.close();
  // What is found beside the code at run time.
  for (const file of files) if (file.endsWith('.sh')) copyFileSync(file, join(draft, basename(file)));
  const program = join(draft, 'astrago-agent');
  writeFileSync(program, launcher);
  chmodSync(program, 0o755);
  try {
    renameSync(draft, directory);
  } catch (failure) {
    rmSync(draft, { recursive: true });
    // Another one has built the same meanwhile.
    if (!existsSync(directory)) throw failure;
  }
}

function prune(): void {
  const builds = readdirSync(output)
    .map((name) => ({ path: join(output, name), atMs: statSync(join(output, name)).mtimeMs }))
    .sort((a, b) => b.atMs - a.atMs);
  for (const { path } of builds.slice(keptMax)) rmSync(path, { recursive: true, force: true });
}

const files = [...sources.flatMap(filesOf), join(root, 'package-lock.json'), import.meta.filename];
const directory = join(output, digestOf(files));
if (!existsSync(directory)) {
  await build(directory, files);
  prune();
}
console.log(join(directory, 'astrago-agent'));
