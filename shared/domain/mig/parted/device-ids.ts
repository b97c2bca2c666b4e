// PCI device ids by product name, for the `device-filter` of a mig-parted file. Lower half vendor, upper half device, as
// mig-parted writes them; from its own configurations and pci.ids. A product that is not here is unknown, not excluded.

const byProduct: Readonly<Record<string, readonly string[]>> = {
  'NVIDIA A30': ['0x20B710DE'],
  'NVIDIA A100-SXM4-40GB': ['0x20B010DE'],
  'A100-SXM4-40GB': ['0x20B010DE'],
  'NVIDIA A100-PCIE-40GB': ['0x20B110DE', '0x20F110DE'],
  'A100-PCIE-40GB': ['0x20B110DE', '0x20F110DE'],
  'NVIDIA A100-SXM4-80GB': ['0x20B210DE'],
  'NVIDIA A100 80GB PCIe': ['0x20B510DE'],
  'NVIDIA H100 80GB HBM3': ['0x233010DE'],
  'NVIDIA H100 PCIe': ['0x233110DE'],
  'NVIDIA H100 NVL': ['0x232110DE'],
  'NVIDIA GH200 480GB': ['0x234210DE'],
  'NVIDIA GH200 144G HBM3e': ['0x234810DE'],
  'NVIDIA H200': ['0x233510DE'],
  'NVIDIA H200 NVL': ['0x233B10DE'],
  'NVIDIA H20': ['0x232910DE'],
  'NVIDIA B200': ['0x290110DE'],
  'NVIDIA GB200': ['0x294110DE'],
  'NVIDIA GB300': ['0x31C210DE'],
  'NVIDIA RTX PRO 6000 Blackwell Server Edition': ['0x2BB510DE'],
  'NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition': ['0x2BB410DE'],
  'NVIDIA RTX PRO 6000 Blackwell Workstation Edition': ['0x2BB110DE'],
};

/** The ids that a product of this name may have; `undefined` for a product that we know nothing of. */
export function deviceIdsOf(productName: string): readonly string[] | undefined {
  return Object.hasOwn(byProduct, productName) ? byProduct[productName] : undefined;
}

/** `0x20b010de` as `0x20B010DE`; `undefined` for what is no id. */
export function parseDeviceId(text: string): string | undefined {
  return /^0x[0-9a-f]{8}$/i.test(text) ? `0x${text.slice(2).toUpperCase()}` : undefined;
}
