import { parseArgs } from 'node:util';
import { createMachine, createReplay, modelNames } from './create.ts';

const { values } = parseArgs({
  options: {
    directory: { type: 'string' },
    model: { type: 'string', default: 'h100-80gb' },
    gpus: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    driver: { type: 'string', default: '590.48.01' },
    'no-persistence': { type: 'boolean', default: false },
    mig: { type: 'boolean', default: false },
    nvlink: { type: 'string' },
    'numa-nodes': { type: 'string' },
    nics: { type: 'string' },
    replay: { type: 'string' },
  },
});

const reach = (['all', 'pairs', 'none'] as const).find((one) => one === values.nvlink);

if (values.directory === undefined || (values.nvlink !== undefined && reach === undefined)) {
  console.error('usage: create-main.ts --directory D [--model M] [--gpus N] [--seed S] [--driver V] [--no-persistence] [--mig]');
  console.error('       [--nvlink all|pairs|none] [--numa-nodes N] [--nics N]');
  console.error('       create-main.ts --directory D --replay BUNDLE_DIRECTORY');
  console.error(`models: ${modelNames().join(' ')}`);
  process.exitCode = 2;
} else if (values.replay !== undefined) {
  console.log(createReplay({ directory: values.directory, bundle: values.replay }).nvidiaSmi);
} else {
  const machine = createMachine({
    directory: values.directory,
    model: values.model,
    gpuCount: Number(values.gpus),
    seed: values.seed,
    driverVersion: values.driver,
    persistence: !values['no-persistence'],
    migEnabled: values.mig,
    topology: {
      ...(reach === undefined ? {} : { nvlink: reach }),
      ...(values['numa-nodes'] === undefined ? {} : { numaNodes: Number(values['numa-nodes']) }),
      ...(values.nics === undefined ? {} : { nics: Number(values.nics) }),
    },
  });
  console.log(machine.nvidiaSmi);
}
