// The simulated nvidia-cuda-mps-server: holds its devices, by its environment, until it is told to end or its daemon is gone.
process.title = 'nvidia-cuda-mps-server';
const [, , uid = '', exitCode = ''] = process.argv;
if (exitCode !== '') process.exit(Number(exitCode));
// The daemon of one user serves clients of others under their own number.
if (process.getuid?.() === 0 && Number(uid) > 0) process.setuid?.(Number(uid));
process.stdin.resume();
process.stdin.on('end', () => {
  if (process.env['FAKE_MPS_ORPHAN'] === undefined) process.exit(0);
});
setInterval(() => undefined, 2 ** 30);
