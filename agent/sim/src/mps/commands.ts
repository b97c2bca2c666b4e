import { readlinkSync } from 'node:fs';
import { deviceUuid, type Held } from '../held-devices.ts';
import type { Candidate } from './client-list.ts';
import type { MpsKnobs } from './knobs.ts';
import { parsePercentage, parseSize } from './limits.ts';
import type { MpsServer } from './server-process.ts';

export type CommandAnswer =
  | { readonly kind: 'answer'; readonly text: string; readonly refused: boolean }
  | { readonly kind: 'quit'; readonly timeoutSeconds: number | undefined };

const said = (text: string): CommandAnswer => ({ kind: 'answer', text: text === '' ? '' : `${text}\n`, refused: false });
const refused = (text: string): CommandAnswer => ({ kind: 'answer', text: `${text}\n`, refused: true });

/** What commands see of the daemon. */
export interface CommandTarget {
  threadPercentage: number;
  priority: number;
  readonly pinned: Map<string, number>;
  readonly server: MpsServer | undefined;
  readonly knobs: () => MpsKnobs;
  readonly devices: () => readonly Held[];
  readonly clients: () => readonly Candidate[];
  readonly startServer: (uid: number) => void;
  readonly terminate: (pid: number) => void;
}

/** One line as typed into the control program. */
export function runCommandLine(daemon: CommandTarget, line: string): CommandAnswer {
  const [name = '', ...args] = line.trim().split(/\s+/);
  const command = commands[name];
  if (name === '') return said('');
  if (!command) return refused(daemon.knobs().unknownCommandText ?? `Unknown command: ${name}`);
  return command(daemon, args);
}

type Command = (daemon: CommandTarget, args: readonly string[]) => CommandAnswer;

const commands: Readonly<Record<string, Command>> = {
  get_server_list: (daemon) => said(daemon.server ? String(daemon.server.pid) : ''),
  get_server_status: (daemon, [pid]) => withServer(daemon, pid, (server) => said(server.state)),
  start_server: (daemon, args) => {
    const uid = args[args.indexOf('-uid') + 1];
    if (!args.includes('-uid') || uid === undefined || !/^\d+$/.test(uid)) return refused('start_server needs -uid <user id>');
    // There is one server at a time.
    if (!daemon.server) daemon.startServer(Number(uid));
    return said('');
  },
  get_client_list: (daemon, [pid]) =>
    withServer(daemon, pid, () =>
      said(
        daemon
          .clients()
          .map((one) => one.pid)
          .join('\n'),
      ),
    ),
  get_device_client_list: (daemon, [pid]) => {
    if (pid !== undefined && Number(pid) !== daemon.server?.pid) return noServer(pid);
    const clients = daemon.clients();
    const lines = daemon.devices().map((device) => {
      const here = clients.filter((one) => one.held.some((held) => deviceUuid(held) === deviceUuid(device)));
      return [deviceUuid(device), ...here.map((one) => String(one.pid))].join('\n');
    });
    return said(lines.join('\n'));
  },
  ps: (daemon, args) => {
    const at = args.indexOf('-p');
    if (at >= 0 && Number(args[at + 1]) !== daemon.server?.pid) return noServer(args[at + 1]);
    const rows = daemon.clients().flatMap((one) =>
      one.held.map((held) => {
        const device = deviceUuid(held).split('-').slice(0, 4).join('-');
        return [one.pid, 0, daemon.server?.pid ?? 0, device, namespaceOf(one.pid), one.command];
      }),
    );
    return said([['PID', 'ID', 'SERVER', 'DEVICE', 'NAMESPACE', 'COMMAND'], ...rows].map(row).join('\n'));
  },
  terminate_client: (daemon, [serverPid, clientPid]) =>
    withServer(daemon, serverPid, () => {
      const { terminateResult } = daemon.knobs();
      if (terminateResult !== undefined) return said(String(terminateResult));
      const pid = Number(clientPid);
      if (!daemon.clients().some((one) => one.pid === pid)) return said('1');
      daemon.terminate(pid);
      return said('0');
    }),
  set_default_active_thread_percentage: (daemon, [text]) =>
    percentage(daemon, text, (value) => {
      daemon.threadPercentage = value;
    }),
  get_default_active_thread_percentage: (daemon) => said(daemon.threadPercentage.toFixed(1)),
  set_active_thread_percentage: (daemon, [pid, text]) =>
    withServer(daemon, pid, (server) =>
      percentage(daemon, text, (value) => {
        server.threadPercentage = value;
      }),
    ),
  get_active_thread_percentage: (daemon, [pid]) => withServer(daemon, pid, (server) => said(server.threadPercentage.toFixed(1))),
  set_default_device_pinned_mem_limit: (daemon, [device, value]) => setPinned(daemon.pinned, device, value),
  get_default_device_pinned_mem_limit: (daemon, [device]) => getPinned(daemon.pinned, device),
  set_device_pinned_mem_limit: (daemon, [pid, device, value]) =>
    withServer(daemon, pid, (server) => setPinned(server.pinned, device, value)),
  get_device_pinned_mem_limit: (daemon, [pid, device]) => withServer(daemon, pid, (server) => getPinned(server.pinned, device)),
  set_default_client_priority: (daemon, [text]) => {
    if (text !== '0' && text !== '1') return refused('Invalid client priority');
    daemon.priority = Number(text);
    return said('');
  },
  get_default_client_priority: (daemon) => said(String(daemon.priority)),
  quit: (_, args) => {
    const at = args.indexOf('-t');
    const seconds = at < 0 ? undefined : Number(args[at + 1]);
    if (seconds !== undefined && !(seconds >= 0)) return refused('quit -t needs a number of seconds');
    return { kind: 'quit', timeoutSeconds: seconds };
  },
};

function withServer(daemon: CommandTarget, pid: string | undefined, act: (server: MpsServer) => CommandAnswer): CommandAnswer {
  return daemon.server && Number(pid) === daemon.server.pid ? act(daemon.server) : noServer(pid);
}

function noServer(pid: string | undefined): CommandAnswer {
  return refused(`Server ${pid ?? ''} not found`);
}

function percentage(daemon: CommandTarget, text: string | undefined, set: (value: number) => void): CommandAnswer {
  const value = parsePercentage(text);
  if (value === undefined) return refused(`Invalid active thread percentage: ${text ?? ''}`);
  set(value);
  return said(daemon.knobs().silentSetters ? '' : value.toFixed(1));
}

/** The device is not checked, here as there. */
function setPinned(limits: Map<string, number>, device: string | undefined, value: string | undefined): CommandAnswer {
  const mib = value === undefined ? undefined : parseSize(value);
  if (device === undefined || mib === undefined) return refused(`Invalid device memory limit: ${value ?? ''}`);
  limits.set(device, mib);
  return said('');
}

function getPinned(limits: ReadonlyMap<string, number>, device: string | undefined): CommandAnswer {
  const limit = limits.get(device ?? '');
  return said(limit === undefined ? '' : `${limit}M`);
}

function row([pid, id, server, device, namespace, command]: readonly (string | number)[]): string {
  const cells = [String(pid).padEnd(10), String(id).padEnd(4), String(server).padEnd(10), String(device).padEnd(24)];
  return `${cells.join(' ')} ${String(namespace).padEnd(12)} ${command}`;
}

function namespaceOf(pid: number): string {
  try {
    return /\d+/.exec(readlinkSync(`/proc/${pid}/ns/pid`))?.[0] ?? '0';
  } catch {
    return '0';
  }
}
