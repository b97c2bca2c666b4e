import type { Reservation } from '@astrago/api';
import { describe, expect, it } from 'vitest';
import { humanDate } from '../show/human-time.ts';
import { against } from '../testing/against.ts';
import { Refusal } from '../testing/api-server.ts';
import { capturedRun } from '../testing/captured-run.ts';

const hour = 3_600_000;
const day = Date.parse('2030-12-01T14:00Z');

function reservation(over: Partial<Reservation> = {}): Reservation {
  return { name: 'demo', workspace: 'team', nodes: ['n1', 'n2'], fromMs: day, untilMs: day + 4 * hour, inTheWay: [], ...over };
}

async function sent(...options: readonly string[]) {
  let received: { readonly params: unknown; readonly body: unknown } | undefined;
  const { exitCode, err } = await against(
    {
      putReservation: (call) => {
        received = call;
        return reservation();
      },
    },
    ['reserve', 'demo', '--workspace', 'team', ...options],
  );
  expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
  expect(received?.params).toEqual({ reservation: 'demo' });
  return received?.body as { fromMs: number; untilMs: number };
}

describe('reserve', () => {
  it('asks for the nodes named, at a moment of a zone or of the reader', async () => {
    const body = { workspace: 'team', nodes: ['n1', 'n2'], fromMs: day, untilMs: day + 4 * hour };
    expect(await sent('--nodes', 'n1,n2', '--from', '2030-12-01T14:00Z', '--for', '4h')).toEqual(body);
    expect(await sent('--nodes', 'n1, n2', '--from', '2030-12-01 15:00+01:00', '--for', '4h')).toEqual(body);
    const fromMs = new Date(2030, 11, 1, 14).getTime();
    expect(await sent('--nodes', 'n1', '--from', '2030-12-01T14:00', '--for', '1d')).toMatchObject({ fromMs, untilMs: fromMs + 24 * hour });
  });

  it('asks for so many of a model, in a time from now, or now', async () => {
    const before = Date.now();
    const later = await sent('--count', '2', '--model', 'h100', '--in', '2h', '--for', '30m');
    const now = await sent('--count', '2', '--for', '30m');
    const afterwards = Date.now();

    expect(later).toMatchObject({ workspace: 'team', count: 2, model: 'h100' });
    expect(later).not.toHaveProperty('nodes');
    for (const [{ fromMs, untilMs }, aheadMs] of [
      [later, 2 * hour],
      [now, 0],
    ] as const) {
      expect(fromMs - aheadMs).toBeGreaterThanOrEqual(before);
      expect(fromMs - aheadMs).toBeLessThanOrEqual(afterwards);
      expect(untilMs - fromMs).toBe(hour / 2);
    }
  });

  it.each([
    [['--for', '4h'], 'Which nodes, or how many?'],
    [['--nodes', 'n1', '--count', '1', '--for', '4h'], '--nodes or --count, not both'],
    [['--nodes', 'n1', '--model', 'h100', '--for', '4h'], 'Give --count as well'],
    [['--count', '1', '--from', '2030-12-01T14:00', '--in', '2h', '--for', '4h'], 'Give one of them'],
    [['--count', '1', '--from', 'tomorrow', '--for', '4h'], 'Give a day and a time'],
    [['--count', '1', '--from', '2030-02-30T14:00', '--for', '4h'], 'Give a day and a time'],
    [['--count', '1', '--for', '4'], 'Give a time with its units'],
    [['--count', '1', '--for', '0h'], 'Give a time with its units'],
    [['--nodes', 'n1,,n2', '--for', '4h'], 'with commas between them'],
    [['--count', '1'], '--for'],
  ])('refuses %j as a usage error', async (options, says) => {
    const { exitCode, err } = await capturedRun(['reserve', 'demo', '--workspace', 'team', ...options]);

    expect(err).toContain(says);
    expect(exitCode).toBe(2);
  });

  it('shows what it got, and what is in the way', async () => {
    const endMs = day + hour;
    const inTheWay = [
      { workload: 'train-a', workspace: 'default', node: 'n1', expectedEndMs: endMs },
      { workload: 'train-b', workspace: 'default', node: 'n2' },
    ];
    const { out } = await against({ putReservation: () => reservation({ inTheWay }) }, [
      ...['reserve', 'demo', '--workspace', 'team', '--count', '2', '--for', '4h'],
    ]);

    const [head, row, ...rest] = out.split('\n');
    expect(head).toMatch(/^RESERVATION +WORKSPACE +NODES +FROM +UNTIL +IN THE WAY$/);
    expect(row).toBe(`demo         team       n1,n2  ${humanDate(day)}  ${humanDate(day + 4 * hour)}  train-a,train-b`);
    expect(rest).toEqual([
      '',
      'May still run there when it begins:',
      `  train-a of default on n1 is expected to end ${humanDate(endMs)}`,
      '  train-b of default on n2 has not said when it ends',
      '',
    ]);
  });

  it('tells of a conflict, and is refused', async () => {
    const conflict = () => Promise.reject(new Refusal('reservation-conflict', 'node n1 is reserved for workspace other by expo'));
    const { exitCode, err } = await against({ putReservation: conflict }, [
      ...['reserve', 'demo', '--workspace', 'team', '--nodes', 'n1', '--for', '4h'],
    ]);

    expect(err).toContain('reserved for workspace other by expo');
    expect(exitCode).toBe(5);
  });
});

describe('reservations', () => {
  it('are listed, without a column that says nothing', async () => {
    const listed = await against({ listReservations: () => ({ items: [reservation()] }) }, ['reservations']);
    const none = await against({ listReservations: () => ({ items: [] }) }, ['reservations']);

    expect(listed.out).toMatch(/^RESERVATION +WORKSPACE +NODES +FROM +UNTIL\ndemo +team +n1,n2 +20/);
    expect(none.out).toBe('Nothing is reserved.\n');
  });

  it('are cancelled by name', async () => {
    const { out } = await against({ cancelReservation: ({ params }) => reservation({ name: params['reservation'] ?? '' }) }, [
      'unreserve',
      'expo',
    ]);

    expect(out).toBe('expo is cancelled: n1, n2 are for all again\n');
  });
});
