export * from './gen/astrago/enrollment/v1/enrollment_pb.js';
