// A support bundle: what nvidia-smi said, so that a simulated machine can say it again, and what the doctor found.
import { join } from 'node:path';
import type { DoctorReport } from '../report.ts';
import type { Files } from '../surroundings.ts';
import type { Recording } from './recorded-commands.ts';
import { createRedaction, type Redaction } from './redaction.ts';
import type { ArchivedFile } from './ustar.ts';

/** `manifest.json`. Files are relative to it; `ms` is how long the command took. */
export interface BundleManifest {
  readonly version: 1;
  readonly commands: readonly {
    readonly args: readonly string[];
    readonly exitCode: number;
    readonly stdout: string;
    readonly stderr: string;
    readonly ms: number;
  }[];
  readonly notRecorded: Recording['notRecorded'];
  readonly createdAt: string;
  readonly agentVersion: string;
  readonly node: string;
  readonly redacted: boolean;
}

const stepsMax = 200;

export async function makeBundle(facts: {
  readonly recording: Recording;
  readonly report: DoctorReport;
  readonly settings: readonly { readonly name: string; readonly value: string | undefined }[];
  readonly dataDirectory: string | undefined;
  readonly files: Files;
  /** Absent: everything as it is. */
  readonly redact: { readonly hostNames: readonly string[]; readonly salt: Uint8Array } | undefined;
}): Promise<readonly ArchivedFile[]> {
  const { recording, report, redact } = facts;
  const redaction = redact === undefined ? asItIs : createRedaction({ outputs: recording.commands, ...redact });
  const outputs = recording.commands.map((command, at) => {
    const name = `files/${String(at).padStart(3, '0')}`;
    return {
      entry: { args: command.args, exitCode: command.exitCode, stdout: `${name}.out`, stderr: `${name}.err`, ms: command.ms },
      files: [
        { path: `${name}.out`, content: redaction.output(command.args, command.stdout) },
        { path: `${name}.err`, content: redaction.output(command.args, command.stderr) },
      ],
    };
  });
  const manifest: BundleManifest = {
    version: 1,
    commands: outputs.map(({ entry }) => entry),
    notRecorded: recording.notRecorded.map(({ args, reason }) => ({ args, reason: redaction.text(reason) })),
    createdAt: report.takenAt,
    agentVersion: report.agentVersion,
    node: redaction.text(report.node),
    redacted: redact !== undefined,
  };
  const steps =
    facts.dataDirectory === undefined ? undefined : await facts.files.readText(join(facts.dataDirectory, 'ledger', 'steps.jsonl'));
  const texts: readonly ArchivedFile[] = [
    { path: 'doctor.json', content: json(report) },
    { path: 'settings.json', content: json(facts.settings.map(({ name, value }) => ({ name, value: value ?? 'set' }))) },
    ...(steps === undefined
      ? []
      : [
          {
            path: 'ledger/steps.jsonl',
            content: steps
              .split('\n')
              .slice(-stepsMax - 1)
              .join('\n'),
          },
        ]),
  ];
  return [
    { path: 'manifest.json', content: json(manifest) },
    ...outputs.flatMap(({ files }) => files),
    ...texts.map(({ path, content }) => ({ path, content: redaction.text(content) })),
  ];
}

const asItIs: Redaction = { output: (_args, text) => text, text: (text) => text };

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
