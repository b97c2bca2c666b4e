import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findTool } from './find-tool.ts';
import type { PunchHole } from './output-file.ts';

/**
 * By `fallocate` of util-linux. Every local file system of a GPU node knows holes (ext4, xfs, btrfs, tmpfs); where one
 * does not, or the tool is missing, it throws, and outputs grow as long as there is space.
 */
export function punchHoleBy(tools: string): PunchHole {
  return async (file, length) => {
    const fallocate = await findTool('fallocate', tools);
    if (fallocate === undefined) throw new Error('this node has no fallocate (of util-linux)');
    await promisify(execFile)(fallocate, ['--punch-hole', '--offset', '0', '--length', String(length), file], { timeout: 30_000 });
  };
}
