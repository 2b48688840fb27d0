/**
 * Recognises confidential machines on Azure, to say in words why they cannot be used: a paravisor owns the report there,
 * and it is collected through a virtual TPM, which this worker does not do. Spec: tdx.md §8 "Azure"; sev-snp.md §5.
 * @module
 */

import { ATTRIBUTE_MAX_BYTES } from '../limits.ts';
import { AZURE_PAGE, type Finding, type Probe } from './finding.ts';
import { isThere, textOf } from './glance.ts';
import type { Guest } from './guest.ts';

const AZURE = 'azure';
/** The same in every virtual machine of Azure. */
const ASSET_TAG = '7783-7084-3265-9085-8269-3286-77';
const VENDOR = 'Microsoft Corporation';

export async function probeAzure(guest: Guest): Promise<Probe> {
  const { paths } = guest;
  const tag = (await textOf(guest, paths.chassisAssetTag, ATTRIBUTE_MAX_BYTES)).trim();
  const vendor = (await textOf(guest, paths.systemVendor, ATTRIBUTE_MAX_BYTES)).trim();
  const tpm = await isThere(guest, paths.tpm);
  // Somebody else's Hyper-V has the vendor too; its paravisor, if any, is told from others by the TPM alone.
  if (tag === ASSET_TAG) return { finding: tpm ? RECOGNISED : WITHOUT_TPM };
  return { finding: vendor === VENDOR && tpm ? HYPER_V : ABSENT };
}

const REMEDY = `Collecting evidence from the virtual TPM is described in ${AZURE_PAGE}, and not built in. Use a machine that gives quotes to its guest: TDX or SEV-SNP on your own hosts, on Google Cloud or on AWS.`;

const RECOGNISED: Finding = {
  name: AZURE,
  found: true,
  reason: 'not-built-in',
  detail: 'This is a virtual machine on Azure with a virtual TPM.',
  remedy: REMEDY,
};
const WITHOUT_TPM: Finding = {
  ...RECOGNISED,
  reason: 'no-tpm',
  detail: 'This is a virtual machine on Azure without a virtual TPM, so not a confidential one.',
};
const HYPER_V: Finding = {
  ...RECOGNISED,
  detail: 'This is a virtual machine on Hyper-V with a virtual TPM.',
};
const ABSENT: Finding = {
  name: AZURE,
  found: false,
  reason: 'absent',
  detail: 'This is no virtual machine on Azure.',
};
