// Who workloads run as, where the agent itself is root.
import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

export interface WorkloadUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** As the system knows it; may not be there. */
  readonly home: string;
}

/**
 * Looks a user up where the system looks users up (files, LDAP), by name or number.
 *
 * @throws Error for a name that nobody has, and for root: then it would be an unprivileged user in name only.
 */
export async function findWorkloadUser(name: string): Promise<WorkloadUser> {
  const line = await promisify(execFile)('getent', ['passwd', '--', name]).then(
    ({ stdout }) => stdout.split('\n')[0] ?? '',
    () => '',
  );
  const [found, , uid, gid, , home] = line.split(':');
  if (found === undefined || found === '' || uid === undefined || gid === undefined)
    throw new Error(
      `there is no user ${JSON.stringify(name)} on this node that workloads could run as; create it, or name another in ASTRAGO_WORKLOAD_USER`,
    );
  if (Number(uid) === 0) throw new Error(`ASTRAGO_WORKLOAD_USER is ${found}, who is root; name an unprivileged user`);
  return { name: found, uid: Number(uid), gid: Number(gid), home: home ?? '' };
}

/** The first directory on the way to `directory`, itself included, that the user may not enter by its mode; access lists are not read. */
export async function closedTo({ uid, gid }: WorkloadUser, directory: string): Promise<string | undefined> {
  const above = dirname(directory);
  const closed = above === directory ? undefined : await closedTo({ name: '', home: '', uid, gid }, above);
  if (closed !== undefined) return closed;
  const facts = await stat(directory);
  const entering = facts.uid === uid ? 0o100 : facts.gid === gid ? 0o010 : 0o001;
  return (facts.mode & entering) === 0 ? directory : undefined;
}
