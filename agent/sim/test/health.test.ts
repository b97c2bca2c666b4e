import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SimulatedMachine } from './simulated-machine.ts';

describe('a GPU that ails', () => {
  const fields = (machine: SimulatedMachine, names: string): string =>
    machine.run(`--query-gpu=${names} --format=csv,noheader,nounits`).stdout.trim();

  it('shows it in the query, and nothing of it after', () => {
    using machine = new SimulatedMachine({ gpuCount: 2 });
    const [, uuid = ''] = machine.created.gpuUuids;
    const names =
      'ecc.errors.uncorrected.volatile.total,ecc.errors.corrected.aggregate.dram,remapped_rows.pending,remapped_rows.failure,remapped_rows.histogram.max,temperature.gpu,pcie.link.width.current,pcie.link.gen.current,gpu_recovery_action,fabric.state';
    machine.setHealth({
      [uuid]: {
        ecc: { uncorrected: { volatile: { sram: 2, dram: 3 } }, corrected: { aggregate: { dram: 77 } } },
        remappedRows: { uncorrectable: 1, pending: true, failure: true, histogram: { none: 1 } },
        temperatureC: 93,
        pcie: { width: 8, generation: 3 },
        recoveryAction: 'Drain and Reset',
        fabric: { state: 'Completed', status: 'Failure' },
      },
    });

    expect(fields(machine, names).split('\n')[1]).toBe('5, 77, Yes, Yes, 2559, 93, 8, 3, Drain and Reset, Completed');
    expect(fields(machine, names).split('\n')[0]).toMatch(/^0, 0, No, No, 2560, \d\d, 16, 5, None, Completed$/);
    machine.setHealth({});
    expect(fields(machine, names).split('\n')[1]).toMatch(/^0, 0, No, No, 2560, \d\d, 16, 5, None, Completed$/);
  });

  it('shows it in the XML alike', () => {
    using machine = new SimulatedMachine();
    machine.setHealth({
      '0': {
        ecc: { uncorrected: { volatile: { sram: 2, dram: 3 } }, sramThresholdExceeded: true },
        remappedRows: { correctable: 4, pending: true },
        eventReasons: ['hw_thermal_slowdown'],
        eventCountersUs: { hw_thermal_slowdown: 1500 },
        pcie: { width: 4, replays: 9 },
        recoveryAction: 'Reset',
        fabric: { summary: 'Unhealthy' },
      },
    });

    const xml = machine.run('-q -x').stdout;

    for (const element of [
      '<sram_uncorrectable_secded>2</sram_uncorrectable_secded>',
      '<dram_uncorrectable>3</dram_uncorrectable>',
      '<sram_threshold_exceeded>Yes</sram_threshold_exceeded>',
      '<remapped_row_corr>4</remapped_row_corr>',
      '<remapped_row_pending>Yes</remapped_row_pending>',
      '<clocks_event_reason_hw_slowdown>Active</clocks_event_reason_hw_slowdown>',
      '<clocks_event_reasons_counters_hw_therm_slowdown>1500 us</clocks_event_reasons_counters_hw_therm_slowdown>',
      '<current_link_width>4x</current_link_width>',
      '<replay_counter>9</replay_counter>',
      '<gpu_recovery_action>Reset</gpu_recovery_action>',
      '<summary>Unhealthy</summary>',
    ]) {
      expect(xml).toContain(element);
    }
  });

  it('has its clocks held for reasons that make up the mask', () => {
    using machine = new SimulatedMachine();
    const names = 'clocks_event_reasons.active,clocks_throttle_reasons.hw_slowdown,clocks_event_reasons.gpu_idle';
    expect(fields(machine, names)).toBe('0x0000000000000001, Not Active, Active');

    machine.setHealth({ '0': { eventReasons: ['hw_thermal_slowdown', 'sw_power_cap'] } });

    expect(fields(machine, names)).toBe('0x000000000000004C, Active, Not Active');
  });

  it('retires pages on boards that do not remap rows', () => {
    using machine = new SimulatedMachine({ model: 't4' });
    machine.setHealth({ '0': { retiredPages: { doubleBit: 2, pending: true }, remappedRows: { pending: true } } });

    expect(fields(machine, 'retired_pages.double_bit.count,retired_pages.pending,remapped_rows.pending')).toBe('2, Yes, [N/A]');
    expect(machine.run('-q -x').stdout.match(/<retired_page_address>/g)).toHaveLength(2);
  });

  it('may say anything in a single field', () => {
    using machine = new SimulatedMachine({ gpuCount: 2 });
    machine.setHealth({ '0': { fields: { 'power.draw': '[Unknown Error]' }, elements: { gpu_temp: 'Unknown Error' } } });

    expect(fields(machine, 'index,power.draw')).toMatch(/^0, \[Unknown Error\]\n1, \d+\.\d\d$/);
    expect(machine.run('-q -x').stdout.match(/<gpu_temp>.*</g)?.[0]).toBe('<gpu_temp>Unknown Error<');
    expect(machine.run('-q -i 0').stdout).toContain('GPU Current Temp                               : Unknown Error\n');
  });

  it('keeps row remapping to itself under MIG', () => {
    using machine = new SimulatedMachine({ migEnabled: true });
    machine.setHealth({ '0': { remappedRows: { pending: true } } });

    expect(fields(machine, 'remapped_rows.pending')).toBe('[N/A]');
  });
});

describe('the kernel log', () => {
  const control = join(import.meta.dirname, '..', 'src', 'control-main.ts');
  const log = (machine: SimulatedMachine, command: string): string => {
    const args = [control, ...command.split(' '), '--directory', machine.created.directory];
    const ran = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(ran.stderr).toBe('');
    return ran.stdout.trim();
  };

  it('gets lines as the driver writes them, numbered upwards', () => {
    using machine = new SimulatedMachine({ gpuCount: 2 });
    const bus = (machine.state().gpus[1]?.busId ?? '').slice(0, 14).toLowerCase();

    const plain = log(machine, 'xid --gpu 1 --code 79');
    const known = log(machine, `xid --gpu 1 --code 94 --pid ${process.pid} --name python --long-domain --gi 5`);
    const unknown = log(machine, 'xid --gpu 1 --code 13 --pid unknown');
    const nameless = log(machine, 'xid --gpu 1 --code 43 --pid 77 --name=');

    expect(plain).toMatch(new RegExp(`^4,1234,\\d+,-;NVRM: Xid \\(PCI:${bus.slice(4, 14)}\\): 79, GPU has fallen off the bus\\.$`));
    expect(known).toContain(`4,1235,`);
    expect(known).toContain(`;NVRM: Xid (PCI:${bus.slice(0, 14)} GPU-I:05): 94, pid=${process.pid}, name=python, Contained: `);
    expect(unknown).toContain("): 13, pid='<unknown>', name=<unknown>, Graphics SM Warp Exception on (GPC 0, TPC 0, SM 0): ");
    expect(nameless).toContain('): 43, pid=77, Ch 00000008');
    expect(readFileSync(machine.created.kernelLog, 'utf8')).toBe(`${[plain, known, unknown, nameless].join('\n')}\n`);
  });
});
