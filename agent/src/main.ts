// The program `astrago agent`. Each command loads only what it needs: one look at the GPUs should not wait for gRPC.

import { parseCommandLine } from './commands/command-line.ts';
import { helpPages } from './commands/help.ts';

// A reader that went away (inventory | head) is not an error of ours.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (failure: NodeJS.ErrnoException) => {
    if (failure.code === 'EPIPE') process.exit(process.exitCode ?? 0);
    throw failure;
  });
}

const command = parseCommandLine(process.argv.slice(2));
switch (command.kind) {
  case 'run': {
    const { runAgent } = await import('./run-agent.ts');
    await runAgent(command, process.env);
    break;
  }
  case 'inventory': {
    const { takeInventory } = await import('./take-inventory.ts');
    await end(await takeInventory(command, process.env, print));
    break;
  }
  case 'doctor': {
    const { examine } = await import('./examine.ts');
    await end(await examine(command, process.env, print, (text) => process.stderr.write(text)));
    break;
  }
  case 'version': {
    const { agentVersion } = await import('./version.ts');
    print(`astrago agent ${agentVersion}, Node ${process.versions.node}\n`);
    break;
  }
  case 'help':
    print(helpPages[command.of]);
    break;
  case 'usage-error':
    process.stderr.write(`astrago agent: ${command.text}\n`);
    process.exitCode = 2;
    break;
  default:
    command satisfies never;
}

function print(text: string): void {
  process.stdout.write(text);
}

/** Ends although a command of the driver may still hang: its pipes must not keep this process. */
async function end(exitCode: number): Promise<void> {
  await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
  process.exit(exitCode);
}
