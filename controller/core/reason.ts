// The closed lists: why a workload waits, and why it ended. One text each; `why` adds the counts.

/** Per GPU (or node): why the ask does not go there now. Ordered by how much it says: the first that applies to most is primary. */
export const waitingReasons = {
  PendingEvaluation: 'not looked at yet',
  NoNodes: 'no node has joined yet',
  NoSuchModel: 'another model than asked',
  NoSuchProfileOnModel: 'the device does not offer the profile',
  TooFewGpusOnNode: 'the node has fewer GPUs than asked',
  ExceedsMaxQuota: 'the ask alone is above the limit of its workspace',
  WaitingForQuota: 'the workspace has used up its limit',
  TooLittleMemoryOnGpu: 'the GPU has less memory than asked',
  LabelsDiffer: 'the node does not carry the labels asked for',
  NodeTainted: 'the node has a taint that the ask does not tolerate',
  WaitingForGuarantee: 'what is left is guaranteed to other workspaces, and it may not be interrupted when they ask for it',
  WaitingForBudget: 'the hours of its workspace are used up',
  WaitingForGang: 'too few members of its gang can start together',
  LocalityUnmet: 'enough is free, but not as close together, or as far apart, as it must be',
  RoomIsKept: 'there is room, and it is kept for work that was waiting before',
  RoomIsMade: 'other work is being stopped to make room for it',
  NodeUnreachable: 'the node does not answer',
  NodeCordoned: 'the node is cordoned',
  NodeUnhealthy: 'the node has a condition that keeps work away',
  DeviceUnhealthy: 'the GPU has a condition that keeps work away',
  CutByOther: 'another program manages MIG on the node, and has cut no free slice of the profile',
  LayoutPinned: 'the layout is pinned and has no free slice of the profile',
  WaitingForSlots: 'all that could hold it is in use',
  FragmentedSlots: 'enough slice units are free, but no legal place',
  SharedOtherwise: 'the GPU is shared in another way',
  WaitingForCpu: 'too little CPU is free on the node',
  WaitingForMemory: 'too little memory is free on the node',
} as const;

export type WaitingReason = keyof typeof waitingReasons;

export const endReasons = {
  completed: 'the command ended with exit code 0',
  'command-failed': 'the command ended with another exit code than 0',
  'stopped-by-user': 'it was stopped on request',
  'cancelled-in-queue': 'it was cancelled before it was placed',
  'create-failed': 'its slice could not be made',
  'gpu-in-use': 'a process that no allocation explains was in the way',
  'start-failed': 'its command could not be started',
  'process-lost': 'its process vanished without an exit code',
  'device-lost': 'its GPU or slice vanished',
  'node-lost': 'its node did not answer for too long',
  'node-rebooted': 'its node was rebooted',
} as const;

export type EndReason = keyof typeof endReasons;
