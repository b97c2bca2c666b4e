/** `mps` in `faults.json`: what the daemon reads at each of its steps. README.md tells how to use each knob. */
export interface MpsKnobs {
  /** The daemon dies by itself, so long after its start. */
  readonly dieAfterMs?: number;
  /** Servers do not come up: the exit code they end with. */
  readonly serverExitCode?: number;
  readonly serverStartDelayMs?: number;
  /** Each `terminate_client` answers with this CUDA error and terminates nobody. */
  readonly terminateResult?: number;
  /** Clients a device; 48, or 60 from driver 590 on. */
  readonly clientLimit?: number;
  readonly afterFault?: 'new-server' | 'same-server';
  /** `quit` without `-t` while clients live. */
  readonly quitWithClients?: 'wait' | 'force';
  /** A server goes on when its daemon is killed. */
  readonly orphanServers?: boolean;
  readonly silentSetters?: boolean;
  readonly unknownCommandText?: string;
  /** Of the control program when the daemon refuses a command. */
  readonly refusedExitCode?: number;
}
