// Joins protobuf-es descriptors to grpc-js: one table of paths and serialisers per service, made
// from the descriptor, so that there is no second description of a method.
import type { DescMethod, DescService } from '@bufbuild/protobuf';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';

// grpc-js types a definition by its messages; a table made from descriptors cannot name them.
// biome-ignore lint/suspicious/noExplicitAny: see above
function methodDefinition(service: DescService, method: DescMethod): MethodDefinition<any, any> {
  const streams = method.methodKind;
  return {
    path: `/${service.typeName}/${method.name}`,
    requestStream: streams === 'client_streaming' || streams === 'bidi_streaming',
    responseStream: streams === 'server_streaming' || streams === 'bidi_streaming',
    requestSerialize: (message) => Buffer.from(toBinary(method.input, message)),
    requestDeserialize: (bytes) => fromBinary(method.input, bytes),
    responseSerialize: (message) => Buffer.from(toBinary(method.output, message)),
    responseDeserialize: (bytes) => fromBinary(method.output, bytes),
    originalName: method.localName,
  };
}

/** The grpc-js definition of a service, keyed by the method names of the generated code (`apply`, `watch`). */
export function serviceDefinition(service: DescService): ServiceDefinition {
  return Object.fromEntries(service.methods.map((method) => [method.localName, methodDefinition(service, method)]));
}
