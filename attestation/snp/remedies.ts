/**
 * What to do about an SEV-SNP report that fails, with the report's own numbers in it: which certificate to fetch, what to
 * commit, when to relaunch. Spec: AMD VCEK Certificate and KDS Interface Specification (57230) §4; sev-snp.md §1.1, §2.3.
 * @module
 */

import { isZero, toHex } from '../../core/bytes.ts';
import { SNP_PRODUCTS, type SnpProduct } from './products.ts';
import type { SnpFacts } from './result.ts';
import { TCB_COMPONENT_NAMES, tcbShortfall, tcbText, type SnpTcb } from './tcb.ts';

const KDS = 'https://kdsintf.amd.com';
const QUERY_NAMES: Readonly<Record<(typeof TCB_COMPONENT_NAMES)[number], string>> = {
  fmc: 'fmcSPL',
  bootloader: 'blSPL',
  tee: 'teeSPL',
  snp: 'snpSPL',
  microcode: 'ucodeSPL',
};

/** By check id of the verifier; a rule's `cpu.*` is looked up as `policy.*`. */
export function snpRemedies(facts: SnpFacts | undefined): ReadonlyMap<string, string> {
  const remedies = new Map<string, string>();
  if (facts === undefined) return remedies;
  const leaf = leafAdvice(facts);
  if (leaf !== undefined) {
    for (const id of ['vek.present', 'bind.chipId', 'chain.notAfter']) remedies.set(id, leaf);
    remedies.set(
      'bind.tcb',
      `The host reports a TCB other than the one the certificate was issued for. ${leaf}`,
    );
  }
  const list = listAdvice(facts);
  if (list !== undefined) {
    for (const id of ['crl.present', 'crl.format', 'crl.issuer', 'crl.signature']) {
      remedies.set(id, list);
    }
    remedies.set('crl.freshness', `${list} If it was just fetched, look at the clock.`);
  }
  const order = tcbRemarks(facts);
  if (order.length > 0) {
    for (const id of TCB_POLICY_CHECKS) remedies.set(id, `${order.join(' ')} ${UPDATE}`);
  }
  return remedies;
}

const UPDATE =
  'If that does not reach what is demanded, update the BIOS of the host: it carries microcode and firmware.';

const TCB_POLICY_CHECKS = [
  'policy.tcbMinimum',
  'policy.launchTcb',
  'policy.firmware',
  'policy.provisionalFirmware',
  'policy.mitigations.launch',
] as const;

function productOf({ product }: SnpFacts): SnpProduct | undefined {
  return SNP_PRODUCTS.find(({ name }) => name === product);
}

function leafAdvice(facts: SnpFacts): string | undefined {
  const { report, tcb, signer } = facts;
  if (signer === 'vlek') {
    return 'Ask the cloud for its VLEK certificate of this TCB: only the host can hand it over.';
  }
  const product = productOf(facts);
  if (signer !== 'vcek' || product === undefined || tcb === undefined) return undefined;
  const what = `Fetch the VCEK for ${tcbText(tcb.reported)}`;
  const hwid = report.chipId.subarray(0, product.hwidBytes);
  if (isZero(hwid)) return `${what}. The report hides its chip: only the host can hand it over.`;
  return `${what}: ${KDS}/vcek/v1/${product.amdName}/${toHex(hwid)}?${query(tcb.reported)}`;
}

function query(tcb: SnpTcb): string {
  return TCB_COMPONENT_NAMES.flatMap((name) =>
    tcb[name] === undefined ? [] : [`${QUERY_NAMES[name]}=${tcb[name]}`],
  ).join('&');
}

function listAdvice(facts: SnpFacts): string | undefined {
  const product = productOf(facts);
  if (product === undefined) return undefined;
  const kind = facts.signer === 'vlek' ? 'vlek' : 'vcek';
  return `Fetch AMD’s revocation list: ${KDS}/${kind}/v1/${product.amdName}/crl`;
}

/** How the four TCB values of a report stand to each other, and what follows. Empty when all are equal. */
export function tcbRemarks({ tcb }: SnpFacts): readonly string[] {
  if (tcb === undefined) return [];
  const { current, committed, reported, launch } = tcb;
  const remarks: string[] = [];
  if (tcbShortfall(committed, current).length > 0) {
    remarks.push(
      `Commit the firmware on the host (snphost commit): COMMITTED_TCB is older than CURRENT_TCB (${tcbShortfall(committed, current).join(', ')}).`,
    );
  }
  if (tcbShortfall(reported, committed).length > 0) {
    remarks.push(
      `Have the host report what it has committed (snphost config set) and fetch the VCEK for it: REPORTED_TCB is older than COMMITTED_TCB (${tcbShortfall(reported, committed).join(', ')}).`,
    );
  }
  if (tcbShortfall(launch, current).length > 0) {
    remarks.push(
      `Relaunch the guest: LAUNCH_TCB is older than CURRENT_TCB (${tcbShortfall(launch, current).join(', ')}).`,
    );
  }
  return remarks;
}
