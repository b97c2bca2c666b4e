export * from './gen/astrago/agent/v1/node_agent_pb.js';
