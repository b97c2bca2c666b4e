import type { HelpPage } from './command-line.ts';

export const helpPages: Readonly<Record<HelpPage, string>> = {
  agent: `Usage: astrago agent [--standalone] [--metrics-port PORT] [--metrics-bind HOST]
       astrago agent inventory [--json] [--limit SECONDS]
       astrago agent doctor [--json] [--limit SECONDS] [--bundle FILE] [--no-redact]
       astrago agent version

The agent of one GPU node. Without a command it joins its controller and does as that one orders.

  --standalone         no controller: looks at the GPUs and serves /metrics; changes nothing, ends nothing
  --metrics-port PORT  where /metrics is served; 0 for any free port (default 9410)
  --metrics-bind HOST  the address it is served on (default 127.0.0.1, so this machine only)

Settings in the environment; a flag goes before them:

  ASTRAGO_NVIDIA_SMI            the nvidia-smi to use (default: the one on PATH)
  ASTRAGO_NODE_NAME             what this node is called (default: its host name)
  ASTRAGO_METRICS_BIND          host:port of /metrics
  ASTRAGO_SAMPLE_PERIOD_MS      how often readings and processes are taken (default 10000)
  ASTRAGO_INVENTORY_PERIOD_MS   how often the GPUs are listed (default 10000)
  ASTRAGO_LOG_LEVEL             trace, debug, info, warn, error or silent (default info)

With a controller, also:

  ASTRAGO_AGENT_DATA            the directory this agent keeps its state in
  ASTRAGO_JOIN_ADDRESS          host:port of the controller's join service
  ASTRAGO_CONTROLLER_ADDRESS    host:port of the controller's agent service
  ASTRAGO_JOIN_TOKEN_FILE       the file with the join token; needed once
  ASTRAGO_AGENT_BIND            host:port for orders (default 127.0.0.1:0)
  ASTRAGO_AGENT_ADVERTISE       the host under which the controller finds this node

An agent that stands alone has a temporary directory of its own and leaves ASTRAGO_AGENT_DATA alone.
`,
  inventory: `Usage: astrago agent inventory [--json] [--limit SECONDS]

One look at this machine, without a controller: GPUs, MIG slices, processes, findings. Changes nothing.

  --json           the document of schema version 1 instead of tables
  --limit SECONDS  how long one nvidia-smi command may take (default 20)

Exit codes: 0 the driver answered, 1 it did not (the findings say why), 2 usage.
`,
  doctor: `Usage: astrago agent doctor [--json] [--limit SECONDS] [--bundle FILE] [--no-redact]

Checks what an agent needs on this machine, and says what to do where something is missing. Changes nothing.

  --json           findings as JSON
  --limit SECONDS  how long one nvidia-smi command may take (default 20)
  --bundle FILE    also writes a support bundle: FILE.tar, FILE.tar.gz, or a directory where the name ends in /
  --no-redact      leaves serial numbers, UUIDs and host names in the bundle as they are

Exit codes: 0 fine or only warnings, 1 problems, 2 usage.
`,
  version: `Usage: astrago agent version

Prints the versions of the agent and of Node.
`,
};
