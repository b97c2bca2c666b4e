import { createPrivateKey, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { type Finding, ok, problem, skipped, unknown, warning } from '../finding.ts';
import type { PemFiles, Surroundings } from '../surroundings.ts';

const dayMs = 86_400_000;
const soonMs = 14 * dayMs;
/** Certificates and waiting times allow for that much. */
const clockApartMaxMs = 5000;

export async function checkCertificates(around: Surroundings): Promise<readonly Finding[]> {
  const { files, settings, nowMs } = around;
  if (settings.dataDirectory === undefined) return [skipped('certificates', 'no data directory is set')];
  const pem = await readPem(around);
  if (pem === undefined) return [ok('certificates', 'none yet; the agent gets one when it joins')];
  const anew = 'Remove the credentials folder from the data directory, and start the agent with a join token.';
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem.certificatePem);
    if (!certificate.checkPrivateKey(createPrivateKey(pem.keyPem)))
      return [problem('certificates', 'key and certificate do not belong together', anew)];
    if (!certificate.verify(new X509Certificate(pem.authorityPem).publicKey))
      return [problem('certificates', 'ca.crt did not sign node.crt', anew)];
  } catch (cause) {
    return [problem('certificates', `they cannot be read (${cause instanceof Error ? cause.message : String(cause)})`, anew)];
  }
  const until = certificate.validToDate;
  if (certificate.validFromDate.getTime() > nowMs())
    return [
      problem(
        'certificates',
        `not good before ${certificate.validFromDate.toISOString()}`,
        'Set the clock of this machine: it seems to be behind.',
      ),
    ];
  if (until.getTime() <= nowMs()) return [problem('certificates', `expired on ${until.toISOString()}`, anew)];
  const key = await files.look(join(settings.dataDirectory, 'credentials', 'node.key'));
  if (key.kind === 'there' && (key.mode & 0o077) !== 0)
    return [
      warning(
        'certificates',
        `node.key is open to other users (mode ${key.mode.toString(8)})`,
        'Close it: chmod 600, and join anew if others may have read it.',
      ),
    ];
  const days = Math.floor((until.getTime() - nowMs()) / dayMs);
  if (until.getTime() - nowMs() < soonMs) return [warning('certificates', `the certificate ends in ${days} days`, anew)];
  return [ok('certificates', `good for ${days} more days`)];
}

export async function checkController(around: Surroundings): Promise<readonly Finding[]> {
  const { joinAddress, controllerAddress } = around.settings;
  if (joinAddress === undefined && controllerAddress === undefined)
    return [skipped('controller', 'no controller is set (ASTRAGO_CONTROLLER_ADDRESS)')];
  const pem = await readPem(around);
  const findings = await Promise.all(
    [
      ['controller', controllerAddress, 'ASTRAGO_CONTROLLER_ADDRESS'] as const,
      ['controller-join', joinAddress, 'ASTRAGO_JOIN_ADDRESS'] as const,
    ].map(async ([check, address, setting]): Promise<readonly Finding[]> => {
      if (address === undefined || address === '')
        return [problem(check, `${setting} is not set`, 'Set it, or start the agent with --standalone.')];
      const greeting = await around.network.greet(address, pem);
      switch (greeting.kind) {
        case 'unreachable':
          return [
            problem(
              check,
              `${address} cannot be reached (${greeting.reason})`,
              `Look whether the controller runs, ${setting} names it, and no firewall is between.`,
            ),
          ];
        case 'distrusted':
          return [
            problem(
              check,
              `${address} does not prove to be our controller (${greeting.reason})`,
              'Look whether the address is right; after a new authority was made, join anew.',
            ),
          ];
        case 'untried':
        case 'trusted':
          return [
            ok(check, `${address} answers${greeting.kind === 'trusted' ? '' : '; whether it is ours is known after joining'}`),
            ...(check === 'controller-join' ? [clockFinding(around, greeting.dateMs)] : []),
          ];
        default:
          return greeting satisfies never;
      }
    }),
  );
  return findings.flat();
}

function clockFinding({ nowMs }: Surroundings, dateMs: number | undefined): Finding {
  if (dateMs === undefined) return unknown('controller-clock', 'the controller does not tell its time');
  const apartMs = Math.abs(nowMs() - dateMs);
  // It tells whole seconds.
  if (apartMs <= clockApartMaxMs) return ok('controller-clock', 'the same as here');
  return warning(
    'controller-clock',
    `${Math.round(apartMs / 1000)} s apart from here`,
    'Keep both clocks with chrony or systemd-timesyncd; certificates depend on them.',
  );
}

async function readPem({ files, settings }: Surroundings): Promise<PemFiles | undefined> {
  if (settings.dataDirectory === undefined) return undefined;
  const directory = join(settings.dataDirectory, 'credentials');
  const [certificatePem, keyPem, authorityPem] = await Promise.all(
    ['node.crt', 'node.key', 'ca.crt'].map((name) => files.readText(join(directory, name))),
  );
  return certificatePem === undefined || keyPem === undefined || authorityPem === undefined
    ? undefined
    : { certificatePem, keyPem, authorityPem };
}
