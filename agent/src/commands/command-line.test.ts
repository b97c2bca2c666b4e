import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCommandLine } from './command-line.ts';
import { helpPages } from './help.ts';

describe('the command line of the agent', () => {
  it.each([
    ['', { kind: 'run', standalone: false, metricsPort: undefined, metricsHost: undefined }],
    ['--standalone', { kind: 'run', standalone: true, metricsPort: undefined, metricsHost: undefined }],
    ['--standalone --metrics-port 0 --metrics-bind 0.0.0.0', { kind: 'run', standalone: true, metricsPort: 0, metricsHost: '0.0.0.0' }],
    ['--metrics-port=9500 --metrics-bind=::1', { kind: 'run', standalone: false, metricsPort: 9500, metricsHost: '::1' }],
    ['inventory', { kind: 'inventory', json: false, limitMs: 20_000 }],
    ['inventory --json --limit 3', { kind: 'inventory', json: true, limitMs: 3000 }],
    ['doctor', { kind: 'doctor', json: false, limitMs: 20_000, bundle: undefined, redact: true }],
    ['doctor --json --bundle b.tar --no-redact', { kind: 'doctor', json: true, limitMs: 20_000, bundle: 'b.tar', redact: false }],
    ['version', { kind: 'version' }],
    ['--help', { kind: 'help', of: 'agent' }],
    ['-h', { kind: 'help', of: 'agent' }],
    ['help doctor', { kind: 'help', of: 'doctor' }],
    ['inventory --help', { kind: 'help', of: 'inventory' }],
  ])('takes "%s"', (line, command) => {
    expect(parseCommandLine(line.split(' ').filter((word) => word !== ''))).toEqual(command);
  });

  it.each([
    ['--bogus', /^Unknown option '--bogus'\. See astrago agent --help\.$/],
    ['dance', /^"dance" is not a command of the agent\. See astrago agent --help\.$/],
    ['--metrics-port 70000', /--metrics-port takes a port from 0 to 65535, not "70000"\./],
    ['--metrics-port -1', /metrics-port/],
    ['--metrics-port', /metrics-port/],
    ['--metrics-bind a/b', /--metrics-bind takes a host name or an address, not "a\/b"\./],
    ['inventory extra', /^Unexpected argument 'extra'\. See astrago agent inventory --help\.$/],
    ['inventory --limit 0', /--limit takes whole seconds from 1 to 600, not "0"\. See astrago agent inventory --help\.$/],
    ['doctor --bundle=', /--bundle takes a file or a directory/],
    ['version now', /Unexpected argument/],
    ['help dance', /There is no help on "dance"\./],
  ])('says what is wrong with "%s"', (line, text) => {
    expect(parseCommandLine(line.split(' '))).toEqual({ kind: 'usage-error', text: expect.stringMatching(text) });
  });

  it('answers any words, and a page for each of its own', () => {
    const word = fc.oneof(
      fc.string(),
      fc.constantFrom('--standalone', '--json', '--limit', 'doctor', 'inventory', '--', '-h', '--metrics-port', '5'),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), (words) => {
        const command = parseCommandLine(words);
        if (command.kind === 'help') expect(helpPages[command.of]).toMatch(/^Usage: astrago agent/);
        if (command.kind === 'usage-error') expect(command.text).toMatch(/ See astrago agent .*--help\.$/s);
      }),
    );
  });
});
