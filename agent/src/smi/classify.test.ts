import { describe, expect, it } from 'vitest';
import { classify } from './classify.ts';
import { fixturePaths, transcript } from './testing/fixtures.ts';

const pending =
  'Warning: MIG mode is in pending enable state for GPU 00000000:07:00.0:In use by another client\n00000000:07:00.0 is currently being used by one or more other processes (e.g. CUDA application). Please first kill all processes\nAll done.\n';

describe('classify', () => {
  it.each([
    ['Failed to create GPU instances: Insufficient Resources', 'insufficient-resources'],
    ['Unable to destroy GPU instance ID  3 from GPU  0: In use by another client', 'gpu-in-use'],
    ['The following GPUs could not be reset:\n  GPU 00000000:01:00.0: In use by another client', 'gpu-in-use'],
    ['GPU 00000000:C1:00.0 is currently in use by another process.', 'gpu-in-use'],
    [
      'Unable to create a GPU instance on GPU  0 using profile 7g.40gb: Invalid Argument\nFailed to create GPU instances: Invalid Argument',
      'unknown-profile',
    ],
    ['No GPU instances found: Not Found', 'not-found'],
    ['Failed to display GPU instances: Insufficient Permissions\nNo GPU instances found: Insufficient Permissions', 'no-permission'],
    ['No devices were found', 'gpu-lost'],
    ['Unable to determine the device handle for GPU0000:CB:00.0: Unknown Error', 'gpu-lost'],
    ['Unable to determine the device handle for GPU 0000:34:00.0: GPU is lost.  Reboot the system to recover this GPU', 'gpu-lost'],
    ["NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", 'driver-unavailable'],
    ["NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.", 'driver-unavailable'],
    ['Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.144', 'driver-unavailable'],
    ['Failed to initialize NVML: Unknown Error', 'driver-unavailable'],
    ['Failed to initialize NVML: Insufficient Permissions', 'no-permission'],
    ['GPU 00000000:01:00.0 requires reset', 'needs-reset'],
    ['Resetting GPU 00000000:00:03.0 is not supported.', 'failed'],
    ['something new', 'failed'],
  ])('%j is %s, whatever the exit code', (text, code) => {
    for (const exitCode of [1, 255]) expect(classify(exitCode, text)).toEqual({ kind: 'fault', code });
  });

  it('asks the exit code only when the text says nothing', () => {
    expect(classify(19, '')).toEqual({ kind: 'fault', code: 'gpu-in-use' });
    expect(classify(19, 'Insufficient Resources')).toEqual({ kind: 'fault', code: 'insufficient-resources' });
    expect(classify(undefined, '')).toEqual({ kind: 'fault', code: 'failed' });
  });

  it('knows a change that waits for a reset, which ends well', () => {
    expect(classify(0, pending)).toEqual({ kind: 'pending' });
    expect(classify(0, pending.replace('enable', 'disable'))).toEqual({ kind: 'pending' });
    expect(classify(255, pending)).toEqual({ kind: 'fault', code: 'gpu-in-use' });
  });

  it('does not take a refusal for success because of its exit code', () => {
    expect(
      classify(
        0,
        'Unable to disable MIG Mode for GPU 00000009:01:00.0: In use by another client\nTerminating early due to previous errors.',
      ),
    ).toEqual({ kind: 'fault', code: 'gpu-in-use' });
    expect(classify(0, 'Resetting GPU 00000000:00:03.0 is not supported.')).toEqual({ kind: 'fault', code: 'failed' });
  });

  it('agrees with every recorded change', () => {
    const verdicts: string[] = [];
    for (const path of fixturePaths('transcripts')) {
      for (const { command, text } of transcript(path)) {
        if (!/-(?:cgi|cci|dgi|dci|mig [01])\b/.test(command)) continue;
        const verdict = classify(0, text);
        verdicts.push(verdict.kind === 'fault' ? verdict.code : verdict.kind);
        if (/^(?:Failed|Unable)/m.test(text)) expect(verdict.kind).toBe('fault');
      }
    }
    expect(new Set(verdicts)).toEqual(new Set(['fine', 'pending', 'gpu-in-use', 'insufficient-resources']));
  });
});
