// Well-known models, made from recorded `mig -lgip` and `-lgipp` listings and vendor documents; catalog.ts reads it.

/** Name, id, size and starts of a placement, the most at once, and GiB as listed where a listing was recorded. */
export type CatalogRow = readonly [name: string, id: number, size: number, starts: readonly number[], most: number, gib?: number];

export interface CatalogEntry {
  readonly key: string;
  /** As the driver prints them; none where no output was recorded. */
  readonly productNames: readonly string[];
  readonly modeChangeNeedsReset: boolean;
  /** In the order of `-lgip`. */
  readonly profiles: readonly CatalogRow[];
}

export const catalogEntries: readonly CatalogEntry[] = [
  {
    key: 'a30-24gb',
    productNames: ['NVIDIA A30'],
    modeChangeNeedsReset: true,
    profiles: [
      ['1g.6gb', 14, 1, [0, 1, 2, 3], 4, 5.81],
      ['1g.6gb+me', 21, 1, [0, 1, 2, 3], 1, 5.81],
      ['2g.12gb', 5, 2, [0, 2], 2, 11.69],
      ['2g.12gb+me', 6, 2, [0, 2], 1, 11.69],
      ['4g.24gb', 0, 4, [0], 1, 23.44],
    ],
  },
  {
    key: 'a100-40gb',
    productNames: ['NVIDIA A100-SXM4-40GB', 'NVIDIA A100-PCIE-40GB', 'A100-SXM4-40GB', 'A100-PCIE-40GB'],
    modeChangeNeedsReset: true,
    profiles: [
      ['1g.5gb', 19, 1, [0, 1, 2, 3, 4, 5, 6], 7, 4.75],
      ['1g.5gb+me', 20, 1, [0, 1, 2, 3, 4, 5, 6], 1, 4.75],
      ['1g.10gb', 15, 2, [0, 2, 4, 6], 4, 9.75],
      ['2g.10gb', 14, 2, [0, 2, 4], 3, 9.75],
      ['3g.20gb', 9, 4, [0, 4], 2, 19.62],
      ['4g.20gb', 5, 4, [0], 1, 19.62],
      ['7g.40gb', 0, 8, [0], 1, 39.5],
    ],
  },
  {
    key: 'a100-80gb',
    productNames: ['NVIDIA A100-SXM4-80GB', 'NVIDIA A100 80GB PCIe'],
    modeChangeNeedsReset: true,
    profiles: [
      ['1g.10gb', 19, 1, [0, 1, 2, 3, 4, 5, 6], 7, 9.5],
      ['1g.10gb+me', 20, 1, [0, 1, 2, 3, 4, 5, 6], 1, 9.5],
      ['1g.20gb', 15, 2, [0, 2, 4, 6], 4, 19.5],
      ['2g.20gb', 14, 2, [0, 2, 4], 3, 19.5],
      ['3g.40gb', 9, 4, [0, 4], 2, 39.25],
      ['4g.40gb', 5, 4, [0], 1, 39.25],
      ['7g.80gb', 0, 8, [0], 1, 79.0],
    ],
  },
  {
    key: 'h100-80gb',
    productNames: ['NVIDIA H100 80GB HBM3'],
    modeChangeNeedsReset: false,
    profiles: [
      ['1g.10gb', 19, 1, [0, 1, 2, 3, 4, 5, 6], 7, 9.75],
      ['1g.10gb+me', 20, 1, [0, 1, 2, 3, 4, 5, 6], 1, 9.75],
      ['1g.20gb', 15, 2, [0, 2, 4, 6], 4, 19.62],
      ['2g.20gb', 14, 2, [0, 2, 4], 3, 19.62],
      ['3g.40gb', 9, 4, [0, 4], 2, 39.5],
      ['4g.40gb', 5, 4, [0], 1, 39.5],
      ['7g.80gb', 0, 8, [0], 1, 79.25],
    ],
  },
  {
    key: 'h100-pcie-80gb',
    productNames: ['NVIDIA H100 PCIe'],
    modeChangeNeedsReset: false,
    profiles: [
      ['1g.10gb', 19, 1, [0, 1, 2, 3, 4, 5, 6], 7],
      ['1g.10gb+me', 20, 1, [0, 1, 2, 3, 4, 5, 6], 1],
      ['1g.20gb', 15, 2, [0, 2, 4, 6], 4],
      ['2g.20gb', 14, 2, [0, 2, 4], 3],
      ['3g.40gb', 9, 4, [0, 4], 2],
      ['4g.40gb', 5, 4, [0], 1],
      ['7g.80gb', 0, 8, [0], 1],
    ],
  },
  {
    key: 'h100-nvl-94gb',
    productNames: ['NVIDIA H100 NVL'],
    modeChangeNeedsReset: false,
    profiles: [
      ['1g.12gb', 19, 1, [0, 1, 2, 3, 4, 5, 6], 7, 10.62],
      ['1g.12gb+me', 20, 1, [0, 1, 2, 3, 4, 5, 6], 1, 10.62],
      ['1g.24gb', 15, 2, [0, 2, 4, 6], 4, 21.5],
      ['2g.24gb', 14, 2, [0, 2, 4], 3, 21.5],
      ['3g.47gb', 9, 4, [0, 4], 2, 46.12],
      ['4g.47gb', 5, 4, [0], 1, 46.12],
      ['7g.94gb', 0, 8, [0], 1, 92.62],
    ],
  },
  {
    key: 'gh200-96gb',
    productNames: ['NVIDIA GH200 480GB'],
    modeChangeNeedsReset: false,
    profiles: [
      ['1g.12gb', 19, 1, [0, 1, 2, 3, 4, 5, 6], 7, 11.0],
      ['1g.12gb+me', 20, 1, [0, 1, 2, 3, 4, 5, 6], 1, 11.0],
      ['1g.24gb', 15, 2, [0, 2, 4, 6], 4, 23.0],
      ['2g.24gb', 14, 2, [0, 2, 4], 3, 23.0],
      ['3g.48gb', 9, 4, [0, 4], 2, 46.5],
      ['4g.48gb', 5, 4, [0], 1, 46.5],
      ['7g.96gb', 0, 8, [0], 1, 93.0],
    ],
  },
  {
    key: 'gh200-144gb',
    productNames: ['NVIDIA GH200 144G HBM3e'],
    modeChangeNeedsReset: false,
    profiles: [
      ['1g.18gb', 19, 1, [0, 1, 2, 3, 4, 5, 6], 7, 17.5],
      ['1g.18gb+me', 20, 1, [0, 1, 2, 3, 4, 5, 6], 1, 17.5],
      ['1g.36gb', 15, 2, [0, 2, 4, 6], 4, 35.25],
      ['2g.36gb', 14, 2, [0, 2, 4], 3, 35.25],
      ['3g.72gb', 9, 4, [0, 4], 2],
      ['4g.72gb', 5, 4, [0], 1],
      ['7g.144gb', 0, 8, [0], 1],
    ],
  },
  {
    key: 'h200-141gb',
    productNames: ['NVIDIA H200', 'NVIDIA H200 NVL'],
    modeChangeNeedsReset: false,
    profiles: [
      ['1g.18gb', 19, 1, [0, 1, 2, 3, 4, 5, 6], 7, 16.0],
      ['1g.18gb+me', 20, 1, [0, 1, 2, 3, 4, 5, 6], 1, 16.0],
      ['1g.35gb', 15, 2, [0, 2, 4, 6], 4, 32.5],
      ['2g.35gb', 14, 2, [0, 2, 4], 3, 32.5],
      ['3g.71gb', 9, 4, [0, 4], 2, 69.75],
      ['4g.71gb', 5, 4, [0], 1, 69.75],
      ['7g.141gb', 0, 8, [0], 1, 140.0],
    ],
  },
  {
    key: 'h20-96gb',
    productNames: ['NVIDIA H20'],
    modeChangeNeedsReset: false,
    profiles: [
      ['1g.12gb', 19, 1, [0, 1, 2, 3, 4, 5, 6], 7, 11.75],
      ['1g.12gb+me', 20, 1, [0, 1, 2, 3, 4, 5, 6], 1, 11.75],
      ['1g.24gb', 15, 2, [0, 2, 4, 6], 4],
      ['2g.24gb', 14, 2, [0, 2, 4], 3],
      ['3g.48gb', 9, 4, [0, 4], 2],
      ['4g.48gb', 5, 4, [0], 1],
      ['7g.96gb', 0, 8, [0], 1],
    ],
  },
  {
    key: 'b200',
    productNames: ['NVIDIA B200'],
    modeChangeNeedsReset: false,
    profiles: [
      ['1g.23gb', 19, 1, [0, 1, 2, 3, 4, 5, 6], 7, 22.0],
      ['1g.23gb+me', 20, 1, [0, 1, 2, 3, 4, 5, 6], 1, 22.0],
      ['1g.45gb', 15, 2, [0, 2, 4, 6], 4, 44.25],
      ['2g.45gb', 14, 2, [0, 2, 4], 3, 44.25],
      ['3g.90gb', 9, 4, [0, 4], 2],
      ['4g.90gb', 5, 4, [0], 1],
      ['7g.180gb', 0, 8, [0], 1],
    ],
  },
  {
    key: 'gb200',
    productNames: ['NVIDIA GB200'],
    modeChangeNeedsReset: false,
    profiles: [
      ['1g.23gb', 19, 1, [0, 1, 2, 3, 4, 5, 6], 7, 22.0],
      ['1g.23gb+me', 20, 1, [0, 1, 2, 3, 4, 5, 6], 1, 22.0],
      ['1g.47gb', 15, 2, [0, 2, 4, 6], 4, 45.5],
      ['2g.47gb', 14, 2, [0, 2, 4], 3, 45.5],
      ['3g.93gb', 9, 4, [0, 4], 2],
      ['4g.93gb', 5, 4, [0], 1],
      ['7g.186gb', 0, 8, [0], 1],
    ],
  },
  {
    key: 'gb300',
    productNames: ['NVIDIA GB300'],
    modeChangeNeedsReset: false,
    profiles: [
      ['1g.35gb', 19, 1, [0, 1, 2, 3, 4, 5, 6], 7],
      ['1g.35gb+me', 20, 1, [0, 1, 2, 3, 4, 5, 6], 1],
      ['1g.70gb', 15, 2, [0, 2, 4, 6], 4],
      ['2g.70gb', 14, 2, [0, 2, 4], 3],
      ['3g.139gb', 9, 4, [0, 4], 2],
      ['4g.139gb', 5, 4, [0], 1],
      ['7g.278gb', 0, 8, [0], 1],
    ],
  },
  {
    key: 'b300',
    productNames: [],
    modeChangeNeedsReset: false,
    profiles: [
      ['1g.34gb', 19, 1, [0, 1, 2, 3, 4, 5, 6], 7],
      ['1g.34gb+me', 20, 1, [0, 1, 2, 3, 4, 5, 6], 1],
      ['1g.67gb', 15, 2, [0, 2, 4, 6], 4],
      ['2g.67gb', 14, 2, [0, 2, 4], 3],
      ['3g.135gb', 9, 4, [0, 4], 2],
      ['4g.135gb', 5, 4, [0], 1],
      ['7g.269gb', 0, 8, [0], 1],
    ],
  },
  {
    key: 'rtx-pro-6000',
    productNames: [
      'NVIDIA RTX PRO 6000 Blackwell Server Edition',
      'NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition',
      'NVIDIA RTX PRO 6000 Blackwell Workstation Edition',
    ],
    modeChangeNeedsReset: false,
    profiles: [
      ['1g.24gb', 14, 3, [0, 3, 6, 9], 4, 23.62],
      ['1g.24gb+me', 21, 3, [0, 3, 6, 9], 1, 23.62],
      ['1g.24gb+gfx', 47, 3, [0, 3, 6, 9], 4, 23.62],
      ['1g.24gb+me.all', 65, 3, [0, 3, 6, 9], 1, 23.62],
      ['1g.24gb-me', 67, 3, [0, 3, 6, 9], 4, 23.62],
      ['2g.48gb', 5, 6, [0, 6], 2, 47.38],
      ['2g.48gb+gfx', 35, 6, [0, 6], 2, 47.38],
      ['2g.48gb+me.all', 64, 6, [0, 6], 1, 47.38],
      ['2g.48gb-me', 66, 6, [0, 6], 2, 47.38],
      ['4g.96gb', 0, 12, [0], 1, 95.12],
      ['4g.96gb+gfx', 32, 12, [0], 1, 95.12],
    ],
  },
];
