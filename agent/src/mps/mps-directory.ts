import { createHash } from 'node:crypto';
import { accessSync, constants } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

/** The path of a socket in sockaddr_un, without the byte that ends it. */
export const socketPathBytesMax = 107;

/** Eight hex digits that stand for a text; short, since a socket's path has to be. */
export function shortName(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

/** What the control daemon of a device calls its socket, as long as it gets under a root. */
export function socketBytes(root: string): number {
  return Buffer.byteLength(join(root, shortName(''), 'control'));
}

/**
 * The directory under which each device has one for its daemon. Each agent has a root of its own: what it finds there
 * it has started. Throws an error that says what to do when its sockets' paths would be too long.
 */
export function mpsDirectory(wish: {
  /** What the operator asked for. */
  readonly asked: string | undefined;
  readonly dataDirectory: string;
  readonly isRoot?: boolean;
  readonly runDirectory?: string;
  readonly temporaryDirectory?: string;
}): string {
  if (wish.asked !== undefined) return checked(wish.asked);
  const own = shortName(resolve(wish.dataDirectory));
  const isRoot = wish.isRoot ?? process.getuid?.() === 0;
  const run = wish.runDirectory ?? '/run';
  const inTemporary = join(wish.temporaryDirectory ?? tmpdir(), `astrago-mps-${own}`);
  // Work of another user must get there: the data directory is closed to it.
  if (isRoot) return checked(isWritable(run) ? join(run, 'astrago', 'mps', own) : inTemporary);
  const inData = join(resolve(wish.dataDirectory), 'mps');
  return checked(socketBytes(inData) <= socketPathBytesMax ? inData : inTemporary);
}

function checked(root: string): string {
  if (!isAbsolute(root)) throw new Error(`ASTRAGO_MPS_DIRECTORY must be an absolute path, not ${JSON.stringify(root)}`);
  const over = socketBytes(root) - socketPathBytesMax;
  if (over <= 0) return root;
  throw new Error(
    `the MPS sockets under ${root} would have paths ${over} bytes longer than the ${socketPathBytesMax} that a socket may have; set ASTRAGO_MPS_DIRECTORY to a shorter directory, such as /run/astrago/mps`,
  );
}

function isWritable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
