import { describe, expect, it } from 'vitest';
import { Residents } from '../residents.ts';
import { backOffMs } from './back-off.ts';
import { type Framed, LineCutter } from './framer.ts';
import { Ladder, loopSwitch, refusesSwitch } from './ladder.ts';
import { RowRounds } from './row-rounds.ts';

const columns = ['index', 'uuid', 'temperature.gpu'];
const header = 'index, uuid, temperature.gpu\n';

function row(index: number, temperature = 40): string {
  return `${index}, GPU-0d0831da-0c98-2717-6446-8acd91d39b6${index % 10}, ${temperature}\n`;
}

function sizes(framed: readonly Framed<readonly unknown[]>[]): readonly (number | string)[] {
  return framed.map((one) => (one.kind === 'round' ? one.round.length : one.text));
}

describe('rounds of rows', () => {
  it('are told as soon as they have as many rows as the one before', () => {
    const rounds = new RowRounds(columns);

    expect(sizes(rounds.push(header + row(0) + row(1)))).toEqual([]);
    expect(rounds.open).toBe(true);
    expect(sizes(rounds.flush())).toEqual([2]);
    expect(sizes(rounds.push(row(0)))).toEqual([]);
    expect(sizes(rounds.push(row(1)))).toEqual([2]);
    expect(rounds.open).toBe(false);
    expect(rounds.flush()).toEqual([]);
  });

  it('may have a GPU less, or one that is back', () => {
    const rounds = new RowRounds(columns);
    rounds.push(row(0) + row(1) + row(2));
    rounds.flush();

    expect(sizes(rounds.push(`${row(0)}Unable to determine the device handle for GPU 0000:CB:00.0: Unknown Error\n${row(2)}`))).toEqual([
      expect.stringContaining('Unable'),
    ]);
    expect(sizes(rounds.flush())).toEqual([2]);
    expect(sizes(rounds.push(row(0) + row(1)))).toEqual([2]);
    expect(sizes(rounds.push(row(2)))).toEqual([]);
    expect(sizes(rounds.flush())).toEqual([3]);
    expect(sizes(rounds.push(row(0) + row(1) + row(2)))).toEqual([3]);
  });

  it('end at an index that does not ascend, at a header, and with the program', () => {
    const rounds = new RowRounds(columns);

    expect(sizes(rounds.push(row(0) + row(1) + row(0)))).toEqual([2]);
    expect(sizes(rounds.push(header))).toEqual([1]);
    expect(sizes(rounds.push(`\n\n${row(0).trimEnd()}`))).toEqual([]);
    expect(sizes(rounds.end())).toEqual([1]);
  });

  it('tell GPUs apart by UUID where there is no index', () => {
    const rounds = new RowRounds(['uuid', 'temperature.gpu']);
    const bare = (index: number): string => row(index).slice(3);

    expect(sizes(rounds.push(bare(1) + bare(0) + bare(1) + bare(0)))).toEqual([2, 2]);
  });

  it('keep two GPUs whose UUIDs were masked with one', () => {
    const rounds = new RowRounds(columns);
    const masked = (index: number): string => row(index).replace(/6\d, /, '60, ');

    rounds.push(masked(0) + masked(1));
    expect(sizes(rounds.flush())).toEqual([2]);
  });
});

describe('lines of a stream', () => {
  it('are bounded', () => {
    const lines = new LineCutter(10);

    expect(lines.push('a\r\nb')).toEqual(['a']);
    expect(lines.push('c\n0123456789')).toEqual(['bc']);
    expect(lines.push('0123')).toEqual([]);
    expect(lines.push('45\nnext\nlast')).toEqual(['next']);
    expect(lines.end()).toBe('last');
  });
});

describe('the ladder', () => {
  it('goes from milliseconds to seconds to single commands', () => {
    const ladder = new Ladder(500);
    const seen = [ladder.rung];
    ladder.refuse(ladder.rung);
    seen.push(ladder.rung);
    ladder.refuse(ladder.rung);
    seen.push(ladder.rung);

    expect(seen).toEqual(['loop-ms', 'loop-s', 'polls']);
    expect([loopSwitch('loop-ms', 500), loopSwitch('loop-s', 500), loopSwitch('loop-s', 10_000)]).toEqual([
      ['-lms', '500'],
      ['-l', '1'],
      ['-l', '10'],
    ]);
    expect(new Ladder(2_000).rung).toBe('loop-s');
  });

  it('goes down only for a switch that is not known', () => {
    expect(refusesSwitch(2, 'ERROR: Option -lms is not recognized.')).toBe(true);
    expect(refusesSwitch(1, 'Invalid combination of input arguments.')).toBe(true);
    expect(refusesSwitch(2, 'Field "x" is not a valid field to query.')).toBe(false);
    expect(refusesSwitch(9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.")).toBe(false);
    expect(refusesSwitch(undefined, '')).toBe(false);
  });
});

describe('the back-off', () => {
  it('doubles up to its limit, half of it by chance', () => {
    const limits = { firstMs: 1_000, maxMs: 60_000 };

    expect([0, 1, 2, 3, 7, 1_000].map((failures) => backOffMs(failures, limits, () => 1))).toEqual([
      0, 1_000, 2_000, 4_000, 60_000, 60_000,
    ]);
    expect([1, 7].map((failures) => backOffMs(failures, limits, () => 0))).toEqual([500, 30_000]);
  });
});

describe('residents', () => {
  it('are aside as long as anybody needs it, also those that come meanwhile', async () => {
    const residents = new Residents();
    const made = (): { paused: number; pause(): Promise<void>; resume(): void } => ({
      paused: 0,
      pause() {
        this.paused += 1;
        return Promise.resolve();
      },
      resume() {
        this.paused -= 1;
      },
    });
    const [early, late] = [made(), made()];
    residents.add(early);

    const first = await residents.stepAside();
    const second = await residents.stepAside();
    const leave = residents.add(late);
    expect([early.paused, late.paused]).toEqual([2, 2]);
    first();
    expect([early.paused, late.paused]).toEqual([1, 1]);
    second();
    expect([early.paused, late.paused]).toEqual([0, 0]);

    leave();
    await residents.stepAside();
    expect([early.paused, late.paused]).toEqual([1, 0]);
  });
});
