/**
 * Judges the way from a genuine hardware report to the attestation key of the vTPM: who asked for the report, and which
 * runtime data it binds. Every rule has its own check, and one broken rule does not hide another.
 * Spec: Microsoft, "Confidential VM guest attestation design", attestation report format; sev-snp.md §5, tdx.md §8.
 * @module
 */

import { rsaPublicKey, sha256, type RsaPublicKey } from '#primitives';
import { equalPublic, toHex, type Bytes } from '../../core/bytes.ts';
import type { SnpResult } from '../snp/result.ts';
import type { TdxResult } from '../tdx/result.ts';
import type { Check } from '../verdict.ts';
import type { AzureCheckSheet } from './check-list.ts';
import type { Hcl, HclClaims } from './hcl.ts';
import type { VtpmReading } from './vtpm-read.ts';

/** What was found out about the machine under the paravisor. */
export type AzureHardware =
  | { readonly tee: 'snp'; readonly result: SnpResult }
  | { readonly tee: 'tdx'; readonly result: TdxResult };

export function judgeHardware(hardware: AzureHardware, sheet: AzureCheckSheet): void {
  const { result } = hardware;
  const want = hardware.tee === 'snp' ? 'a genuine SEV-SNP report' : 'a genuine TDX quote';
  sheet.judge('azure.hardware', result.authentic, want, () => badText(result.checks));
  if (result.authentic) {
    const id = 'azure.policy.hardware';
    sheet.judge(id, result.accepted, 'what its policy accepts', () => badText(result.checks));
  } else {
    sheet.skip(['azure.policy.hardware'], 'azure.hardware');
  }
  judgeLevel(hardware, sheet);
}

function badText(checks: readonly Check[]): string {
  return checks
    .filter(({ outcome }) => outcome === 'fail')
    .map(({ id }) => id)
    .join(', ');
}

function judgeLevel(hardware: AzureHardware, sheet: AzureCheckSheet): void {
  if (hardware.tee === 'tdx') {
    // The guest runs in a partition whose calls for a report end in the paravisor: there is no other asker.
    sheet.pass('azure.vmpl');
    return;
  }
  const { facts } = hardware.result;
  if (facts === undefined) sheet.skip(['azure.vmpl'], 'azure.hardware');
  else sheet.judge('azure.vmpl', facts.report.vmpl === 0, '0', String(facts.report.vmpl));
}

function reportDataOf({ tee, result }: AzureHardware): Bytes<64> | undefined {
  return tee === 'snp' ? result.facts?.report.reportData : result.quote?.td.reportData;
}

const RUNTIME_HASH_BYTES = 32;

/** Of the blob nothing but the runtime data counts: its report, on TDX, is good on its own machine only. */
export function judgeHcl(
  { hcl }: VtpmReading,
  hardware: AzureHardware,
  sheet: AzureCheckSheet,
): Hcl | undefined {
  if (hcl.outcome === 'malformed' || hcl.value.reportType !== hardware.tee) {
    const got = hcl.outcome === 'malformed' ? hcl.reason : `one of ${hcl.value.reportType}`;
    sheet.fail('azure.hcl', `a blob of a paravisor on ${hardware.tee}`, got);
    sheet.skip(['azure.runtimeData'], 'azure.hcl');
    return undefined;
  }
  sheet.pass('azure.hcl');
  const reportData = reportDataOf(hardware);
  if (reportData === undefined) {
    sheet.skip(['azure.runtimeData'], 'azure.hardware');
    return hcl.value;
  }
  const want = sha256(hcl.value.runtimeData);
  const got = reportData.subarray(0, RUNTIME_HASH_BYTES);
  sheet.judge(
    'azure.runtimeData',
    equalPublic(want, got),
    () => `REPORT_DATA that starts with ${toHex(want)}`,
    () => toHex(got),
  );
  return hcl.value;
}

export function judgeClaims(hcl: Hcl | undefined, sheet: AzureCheckSheet): HclClaims | undefined {
  if (hcl === undefined) {
    sheet.skip(['azure.claims'], 'azure.hcl');
    return undefined;
  }
  if (hcl.claims.outcome === 'malformed') {
    const want = 'runtime data with one HCLAkPub and 64 bytes of user data';
    sheet.fail('azure.claims', want, hcl.claims.reason);
    return undefined;
  }
  sheet.pass('azure.claims');
  return hcl.claims.value;
}

const KEY_MIN_BITS = 2048;

export function judgeKey(
  claims: HclClaims | undefined,
  sheet: AzureCheckSheet,
): RsaPublicKey | undefined {
  if (claims === undefined) {
    sheet.skip(['azure.attestationKey'], 'azure.claims');
    return undefined;
  }
  const { modulus, exponent } = claims.attestationKey;
  const bits = Math.max(0, modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24);
  const key = bits >= KEY_MIN_BITS ? rsaPublicKey(modulus, exponent) : undefined;
  sheet.judge(
    'azure.attestationKey',
    key !== undefined,
    `an RSA key of ${KEY_MIN_BITS} bits at least`,
    `${bits} bits, exponent ${exponent}`,
  );
  return key;
}
