// GPU allocation ratio in percent when as many GPUs have been asked for as there are, mean of the seeds 42 to 51, as
// published with the FGD paper (Weng et al., USENIX ATC 2023): hkust-adsl/kubernetes-scheduler-simulator at 8f3d6417,
// analysis_allo_discrete.csv, averaged over its seeds. It shows whether the policies here are those of the paper.

const policies = ['random', 'dot-product', 'clustering', 'packing', 'best-fit', 'fgd'];

const published: Readonly<Record<string, readonly number[]>> = {
  default: [86.3, 90.62, 91.65, 91.78, 92.86, 95.23],
  cpu050: [89.02, 93.03, 93.52, 93.46, 93.56, 95.0],
  cpu100: [87.44, 91.73, 92.42, 92.5, 93.26, 95.21],
  cpu200: [83.03, 87.45, 89.67, 89.98, 92.15, 94.82],
  cpu250: [80.0, 83.57, 87.75, 88.05, 91.21, 93.2],
  gpushare40: [84.86, 89.3, 89.76, 89.77, 91.44, 93.96],
  gpushare60: [82.81, 86.82, 86.9, 87.15, 89.06, 91.25],
  gpushare80: [80.62, 84.14, 84.5, 84.65, 86.66, 89.08],
  gpushare100: [78.9, 81.98, 82.22, 82.13, 84.62, 86.64],
  gpuspec10: [86.26, 90.17, 91.96, 92.24, 93.1, 94.66],
  gpuspec20: [85.9, 88.29, 89.11, 89.28, 88.46, 94.66],
  gpuspec25: [85.42, 85.44, 86.41, 86.77, 85.67, 93.91],
  gpuspec33: [83.87, 79.82, 81.09, 82.22, 80.39, 87.84],
  multigpu20: [86.92, 91.85, 93.34, 93.5, 93.73, 95.53],
  multigpu30: [86.63, 93.11, 94.55, 94.7, 94.57, 96.36],
  multigpu40: [85.38, 94.04, 95.35, 95.59, 95.1, 96.91],
  multigpu50: [81.28, 94.73, 95.69, 96.06, 95.62, 97.09],
};

/** How far a mean of ten seeds may be from what was published: the arrivals are the same, the order of nodes is not. */
const within: Readonly<Record<string, number>> = { fgd: 0.15, 'best-fit': 0.15 };
const withinElse = 0.5;

/** What is wrong with the mean of a policy on a list; nothing where it is as published, or nothing was published. */
export function unlikePublished(list: string, policy: string, mean: number): string | undefined {
  const means = published[list];
  if (means === undefined) throw new Error(`nothing was published for ${list}; there are ${Object.keys(published).join(', ')}`);
  const expected = means[policies.indexOf(policy)];
  const allowed = within[policy] ?? withinElse;
  if (expected === undefined || Math.abs(mean - expected) <= allowed) return undefined;
  return `${policy} on ${list}: ${mean.toFixed(2)} at 100, published ${expected.toFixed(2)}, allowed are ${allowed} to either side`;
}
