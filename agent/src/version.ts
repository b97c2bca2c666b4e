/** Of the agent; told to the controller, on `/metrics` and to people. */
export const agentVersion = '0.0.0';
