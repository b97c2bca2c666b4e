// `astrago agent inventory`: puts one look together from the driver and the table of processes.
import { systemClock } from '@astrago/shared/runtime/clock';
import type { Environment } from '@astrago/shared/runtime/environment';
import { emptyOrder } from '#core/order';
import { Attribution } from './app/attribution.ts';
import { learnTopology } from './app/topology.ts';
import type { AgentCommand } from './commands/command-line.ts';
import { inventoryDocument } from './commands/inventory-document.ts';
import { inventoryTable } from './commands/inventory-table.ts';
import { lookOnce } from './commands/look-once.ts';
import { numaNodes } from './host/numa-nodes.ts';
import { readObserverConfig } from './look-config.ts';
import { processInspector } from './processes/process-inspector.ts';
import { ProcessTable } from './processes/process-table.ts';
import { createSmiDriver } from './smi/driver.ts';

/** The exit code: 0 when the driver said what there is, 1 when it did not. */
export async function takeInventory(
  command: Extract<AgentCommand, { kind: 'inventory' }>,
  environment: Environment,
  print: (text: string) => void,
): Promise<0 | 1> {
  const config = readObserverConfig(environment);
  const driver = createSmiDriver({
    program: config.nvidiaSmi,
    environment: config.environment,
    limits: { queryMs: command.limitMs },
  });
  const processes = new ProcessTable();
  // Of an allocation it is known here what its processes say themselves.
  const launcher = { pidsByAllocation: () => processes.byAllocation([]), launched: () => Promise.resolve(undefined) };
  const attribution = new Attribution({ inspector: processInspector, launcher, order: () => emptyOrder });
  const { answered, state } = await lookOnce(
    {
      node: config.node,
      driver,
      clock: systemClock,
      topology: async (gpus, signal) =>
        (await learnTopology(gpus, { table: driver, numaNodes: numaNodes({ root: config.hostRoot }) }, signal)).byGpu,
      attribute: (seen) => attribution.attribute(seen),
    },
    new AbortController().signal,
  );
  const document = inventoryDocument(state);
  print(command.json ? `${JSON.stringify(document, null, 2)}\n` : inventoryTable(document));
  return answered ? 0 : 1;
}
