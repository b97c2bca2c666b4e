// What a command does where a name turns out to be that of a gang.
import type { Gang, Workload } from '@astrago/api';
import { ApiFailure } from '@astrago/api/client';
import { plural } from '../show/quantity.ts';

/** Asks for the workload of that name, and where there is none for the gang; when there is neither, the first answer stands. */
export async function workloadOrGang<W, G>(workload: () => Promise<W>, gang: () => Promise<G>): Promise<W | G> {
  try {
    return await workload();
  } catch (failure) {
    if (!isNotFound(failure)) throw failure;
    try {
      return await gang();
    } catch (second) {
      throw isNotFound(second) ? failure : second;
    }
  }
}

function isNotFound(failure: unknown): boolean {
  return failure instanceof ApiFailure && failure.problem.code === 'not-found';
}

export function isGang(shown: Workload | Gang): shown is Gang {
  return 'items' in shown;
}

/** `train: 3 running, 1 queued`. */
export function gangLine(gang: Gang): string {
  const counts = Map.groupBy(gang.items, (member) => member.phase);
  return `${gang.name}: ${[...counts].map(([phase, members]) => `${members.length} ${phase}`).join(', ')}`;
}

/** `4 members, 3 start together`. */
export function gangSize({ members, least }: Pick<Gang, 'members' | 'least'>): string {
  return `${plural(members, 'member')}, ${least === members ? 'all' : least} start together`;
}
