import { cpus, loadavg, networkInterfaces } from 'node:os';
import { type Clock, systemClock } from '@astrago/shared/runtime/clock';
import type { HostFacts, HostReader } from '../app/host-telemetry.ts';
import { realDevices, realFileSystems } from './real-devices.ts';
import { TimeLimit } from './time-limit.ts';

type Systeminformation = typeof import('systeminformation');

const partLimitMs = 5000;

/**
 * What is asked of systeminformation: calls that read files or start short processes. Some 30 ms of processor time a round in
 * all, a third of it in this process, of which listing the mounts blocks a few.
 */
export type SystemQueries = Pick<Systeminformation, 'mem' | 'fsSize' | 'fsStats' | 'networkStats'>;

/**
 * Processors are read with Node's own calls, which give counters and start nothing; systeminformation would run a shell
 * and give rates. The rest is systeminformation's, loaded at the first reading.
 */
export function hostReader(
  deps: { readonly load?: () => Promise<SystemQueries>; readonly clock?: Pick<Clock, 'sleep'>; readonly interfaces?: () => string[] } = {},
): HostReader {
  const { clock = systemClock, load = async () => (await import('systeminformation')).default, interfaces = interfacesWithAddress } = deps;
  const limit = new TimeLimit(partLimitMs, clock.sleep);
  let loaded: Promise<SystemQueries> | undefined;
  const parts = {
    processors: () => Promise.resolve(processors()),
    memory: (system) => system.mem().then(memory),
    fileSystems: (system) => system.fsSize().then(realFileSystems),
    disks: (system) => system.fsStats().then(disks),
    networks: async (system) => {
      const devices = realDevices(interfaces());
      return devices.length === 0 ? undefined : networks(await system.networkStats(devices.join(',')));
    },
  } satisfies { readonly [Part in keyof HostFacts]-?: (system: SystemQueries) => Promise<HostFacts[Part]> };
  return {
    async read() {
      loaded ??= load();
      const system = await loaded;
      const facts: { [Part in keyof HostFacts]: HostFacts[Part] } = {};
      const failures: string[] = [];
      const one = async <Part extends keyof HostFacts>(name: Part, part: (system: SystemQueries) => Promise<HostFacts[Part]>) => {
        try {
          const found = await limit.run(name, () => part(system));
          if (found !== undefined) facts[name] = found;
        } catch (failure) {
          failures.push(failure instanceof Error ? failure.message : String(failure));
        }
      };
      // One after the other would add up; all at once is a handful of short processes.
      await Promise.all([
        one('processors', parts.processors),
        one('memory', parts.memory),
        one('fileSystems', parts.fileSystems),
        one('disks', parts.disks),
        one('networks', parts.networks),
      ]);
      return { facts, failures: failures.sort() };
    },
  };
}

function processors(): NonNullable<HostFacts['processors']> {
  const all = cpus();
  const seconds = (mode: 'user' | 'nice' | 'sys' | 'idle' | 'irq'): number => all.reduce((sum, { times }) => sum + times[mode], 0) / 1000;
  const [one = 0, five = 0, fifteen = 0] = loadavg();
  return {
    count: all.length,
    seconds: { user: seconds('user'), nice: seconds('nice'), system: seconds('sys'), idle: seconds('idle'), irq: seconds('irq') },
    load: [one, five, fifteen],
  };
}

/** Where it could not read, systeminformation answers with zeros instead of an error. */
function memory(found: Awaited<ReturnType<SystemQueries['mem']>>): HostFacts['memory'] {
  if (!(found.total > 0 && found.available > 0)) throw new Error('memory could not be read');
  const { total, available, swaptotal, swapused } = found;
  return { totalBytes: total, availableBytes: available, swapTotalBytes: swaptotal, swapUsedBytes: swapused };
}

/** `null` where the system has no such counters, zeros where nothing is mounted from a disk or reading failed. */
function disks(found: Awaited<ReturnType<SystemQueries['fsStats']>> | null): HostFacts['disks'] {
  return found === null || !(found.rx + found.wx > 0) ? undefined : { readBytes: found.rx, writtenBytes: found.wx };
}

function networks(found: Awaited<ReturnType<SystemQueries['networkStats']>>): HostFacts['networks'] {
  return (
    found
      // A device that is gone meanwhile is answered with zeros.
      .filter(({ operstate, rx_bytes, tx_bytes }) => operstate !== 'unknown' || rx_bytes + tx_bytes > 0)
      .map(({ iface, rx_bytes, tx_bytes, rx_errors, tx_errors }) => ({
        device: iface,
        receivedBytes: rx_bytes,
        sentBytes: tx_bytes,
        receiveErrors: rx_errors,
        sendErrors: tx_errors,
      }))
  );
}

/** Those that something may be reached through; loopback is no network. */
function interfacesWithAddress(): string[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses]) => (addresses?.some(({ internal }) => !internal) ? [name] : []));
}
