import { parseArgs } from 'node:util';
import { createMachine, modelNames } from './create.ts';

const { values } = parseArgs({
  options: {
    directory: { type: 'string' },
    model: { type: 'string', default: 'h100-80gb' },
    gpus: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    driver: { type: 'string', default: '590.48.01' },
    'no-persistence': { type: 'boolean', default: false },
    mig: { type: 'boolean', default: false },
  },
});

if (values.directory === undefined) {
  console.error('usage: create-main.ts --directory D [--model M] [--gpus N] [--seed S] [--driver V] [--no-persistence] [--mig]');
  console.error(`models: ${modelNames().join(' ')}`);
  process.exitCode = 2;
} else {
  const machine = createMachine({
    directory: values.directory,
    model: values.model,
    gpuCount: Number(values.gpus),
    seed: values.seed,
    driverVersion: values.driver,
    persistence: !values['no-persistence'],
    migEnabled: values.mig,
  });
  console.log(machine.nvidiaSmi);
}
