// What an agent hears of a controller, and what it tells one, over gRPC; no controller is there.
import {
  ApplyRequestSchema,
  type ApplyResponse,
  type DesiredStateSchema,
  type ExecRequest,
  ExecRequestSchema,
  type ExecResponse,
  NodeAgent,
  WatchRequestSchema,
  type WatchResponse,
} from '@astrago/proto/agent';
import { serviceDefinition } from '@astrago/proto/grpc';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import type { TestAuthority } from './test-authority.ts';

export type Reports = {
  [Case in WatchResponse['report'] as NonNullable<Case['case']>]?: Extract<
    WatchResponse['report'],
    { case: NonNullable<Case['case']> }
  >['value'];
};

interface Client extends grpc.Client {
  apply(request: object, answer: (failure: grpc.ServiceError | null, response: ApplyResponse) => void): void;
  watch(request: object): grpc.ClientReadableStream<WatchResponse>;
  exec(): grpc.ClientDuplexStream<ExecRequest, ExecResponse>;
}

const Generic = grpc.makeGenericClientConstructor(serviceDefinition(NodeAgent), 'NodeAgent');

export class StandInController implements Disposable {
  /** The newest report of each kind. */
  readonly reports: Reports = {};
  readonly #client: Client;

  private constructor(client: Client) {
    this.#client = client;
    const watching = client.watch(create(WatchRequestSchema, {}));
    // It breaks with the agent, which is what tests are for.
    watching.on('error', () => undefined);
    watching.on('data', ({ report }: WatchResponse) => {
      if (report.case !== undefined) Object.assign(this.reports, { [report.case]: report.value });
    });
  }

  /** Watches the agent at `address`, to which the authority's word for a controller is good. */
  static async connect(address: string, authority: TestAuthority): Promise<StandInController> {
    const own = await authority.issue('controller');
    const secure = grpc.credentials.createSsl(Buffer.from(authority.pem), Buffer.from(own.keyPem), Buffer.from(own.certificatePem));
    // Of the names in the agent's certificate one that is no address.
    const client = new Generic(address, secure, { 'grpc.ssl_target_name_override': 'localhost' });
    return new StandInController(client as unknown as Client);
  }

  async apply(desired: MessageInitShape<typeof DesiredStateSchema>): Promise<ApplyResponse['answer']> {
    const { answer } = await new Promise<ApplyResponse>((resolve, reject) =>
      this.#client.apply(create(ApplyRequestSchema, { desired }), (failure, response) =>
        failure === null ? resolve(response) : reject(failure),
      ),
    );
    return answer;
  }

  /** A further command beside a running allocation; what it wrote, of both streams, and its exit code. */
  async exec(allocation: string, command: readonly string[]): Promise<{ readonly output: string; readonly exitCode: number | undefined }> {
    const call = this.#client.exec();
    call.write(create(ExecRequestSchema, { message: { case: 'start', value: { allocation, command: [...command] } } }));
    call.end();
    let output = '';
    let exitCode: number | undefined;
    for await (const { message } of call as AsyncIterable<ExecResponse>) {
      if (message.case === 'exitCode') exitCode = message.value;
      else if (message.case !== undefined) output += Buffer.from(message.value).toString('utf8');
    }
    return { output, exitCode };
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}
