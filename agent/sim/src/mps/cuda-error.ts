/** CUDA's own numbers and names, with what its runtime says. */
export const cudaErrors = {
  1: ['CUDA_ERROR_INVALID_VALUE', 'invalid argument'],
  2: ['CUDA_ERROR_OUT_OF_MEMORY', 'out of memory'],
  46: ['CUDA_ERROR_DEVICE_UNAVAILABLE', 'CUDA-capable device(s) is/are busy or unavailable'],
  100: ['CUDA_ERROR_NO_DEVICE', 'no CUDA-capable device is detected'],
  700: ['CUDA_ERROR_ILLEGAL_ADDRESS', 'an illegal memory access was encountered'],
  719: ['CUDA_ERROR_LAUNCH_FAILED', 'unspecified launch failure'],
  805: ['CUDA_ERROR_MPS_CONNECTION_FAILED', 'MPS client failed to connect to the MPS control daemon or the MPS server'],
  806: ['CUDA_ERROR_MPS_RPC_FAILURE', 'the remote procedural call between the MPS server and the MPS client failed'],
  807: ['CUDA_ERROR_MPS_SERVER_NOT_READY', 'MPS server is not ready to accept new MPS client requests'],
  808: ['CUDA_ERROR_MPS_MAX_CLIENTS_REACHED', 'the hardware resources required to create MPS client have been exhausted'],
  810: ['CUDA_ERROR_MPS_CLIENT_TERMINATED', 'the MPS client has been terminated by the server'],
} as const satisfies Readonly<Record<number, readonly [string, string]>>;

export type CudaError = keyof typeof cudaErrors;
