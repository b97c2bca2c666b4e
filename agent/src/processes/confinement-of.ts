import { CgroupTree } from './cgroup-tree.ts';
import type { LauncherDeps } from './launcher.ts';
import { findWorkloadUser, type WorkloadUser } from './workload-user.ts';

/** What is configured about whom workloads run as and how they are limited. */
export interface ConfinementConfig {
  readonly workloadUser: string | undefined;
  readonly allowRootWorkloads: boolean;
  readonly cgroup: string | undefined;
}

const root = 0;

const refusal =
  'this agent runs as root and was not told whom workloads run as: name an unprivileged user in ASTRAGO_WORKLOAD_USER, or set ASTRAGO_ALLOW_ROOT_WORKLOADS=1 to run them as root';

/**
 * Workloads never run as root by oversight: an agent that is root and was told of no user starts none, and says why.
 *
 * @throws Error for a configuration that cannot be followed.
 */
export async function confinementOf(
  config: ConfinementConfig,
  uid = process.getuid?.(),
): Promise<Pick<LauncherDeps, 'user' | 'cgroups' | 'refusal'>> {
  const user = await userOf(config, uid);
  const cgroups = config.cgroup === undefined ? undefined : await CgroupTree.open(config.cgroup);
  return { user, cgroups, refusal: uid === root && user === undefined && !config.allowRootWorkloads ? refusal : undefined };
}

async function userOf({ workloadUser }: ConfinementConfig, uid: number | undefined): Promise<WorkloadUser | undefined> {
  if (workloadUser === undefined) return undefined;
  const user = await findWorkloadUser(workloadUser);
  if (uid === root) return user;
  if (user.uid === uid) return undefined;
  throw new Error(`ASTRAGO_WORKLOAD_USER is ${user.name}, but only an agent that runs as root can run workloads as somebody else`);
}
