// An exporter of the plain kind, for comparison: each scrape starts nvidia-smi and prints what it said.
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';

const fields = ['uuid', 'utilization.gpu', 'memory.used', 'memory.total', 'temperature.gpu', 'power.draw', 'clocks.current.sm'];
const program = process.env['ASTRAGO_NVIDIA_SMI'] ?? 'nvidia-smi';

const server = createServer((_request, response) => {
  execFile(program, [`--query-gpu=${fields.join(',')}`, '--format=csv,noheader,nounits'], (failure, stdout) => {
    if (failure !== null) {
      response.writeHead(500).end();
      return;
    }
    const rows = stdout
      .trim()
      .split('\n')
      .map((line) => line.split(', '));
    const families = fields.slice(1).map((field, at) => {
      const name = `plain_gpu_${field.replaceAll('.', '_')}`;
      const series = rows.filter((row) => !Number.isNaN(Number(row[at + 1]))).map((row) => `${name}{uuid="${row[0]}"} ${row[at + 1]}`);
      return [`# TYPE ${name} gauge`, ...series].join('\n');
    });
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(`${families.join('\n')}\n`);
  });
});
server.listen(0, '127.0.0.1', () => {
  const bound = server.address();
  console.log(typeof bound === 'object' && bound !== null ? bound.port : '');
});
