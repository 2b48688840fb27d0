/**
 * Judges an Azure machine under a policy: that its paravisor is a known one, its registers, what the guest wrote.
 * Spec: TCG PC Client Platform TPM Profile, "PCR Attributes"; TCG PC Client Platform Firmware Profile, "PCR Usage".
 * @module
 */

import { equalPublic, isZero, toHex } from '../../core/bytes.ts';
import type { SnpResult } from '../snp/result.ts';
import { isUnchecked, type Unchecked } from '../unchecked.ts';
import type { AzureCheckId, AzureCheckSheet } from './check-list.ts';
import type { AzureHardware } from './hardware-checks.ts';
import type { HclClaims } from './hcl.ts';
import type { AzurePolicy, PcrTuple, PcrValues } from './vtpm-policy.ts';
import type { VtpmReading } from './vtpm-read.ts';

/** Asks what the hardware policy has found, not what it says: a waived measurement pins nobody. */
export function judgeParavisor(
  hardware: AzureHardware,
  { paravisor }: AzurePolicy,
  sheet: AzureCheckSheet,
): void {
  const id = 'azure.policy.paravisor';
  if (typeof paravisor !== 'string') {
    waive(sheet, id, paravisor);
    return;
  }
  const pins = hardware.tee === 'snp' ? pinsOfSnp(hardware.result) : PINS_TDX;
  const isPinned = hardware.result.checks.some(
    (check) => check.outcome === 'pass' && pins.includes(check.id),
  );
  sheet.judge(id, isPinned, `a pass of ${pins.join(' or ')}`, 'none');
}

const PINS_TDX = ['policy.measurements', 'policy.mrTd'];

/** A digest of zeros is that of every guest without an id key, and a policy may list it. */
function pinsOfSnp({ facts }: SnpResult): readonly string[] {
  const hasIdKey = facts !== undefined && !isZero(facts.report.idKeyDigest);
  return hasIdKey ? ['policy.measurement', 'policy.idKey'] : ['policy.measurement'];
}

function waive(sheet: AzureCheckSheet, id: AzureCheckId, { unchecked }: Unchecked): void {
  sheet.waive(id, id, unchecked);
}

export function judgeUserData(
  claims: HclClaims | undefined,
  { userData }: AzurePolicy,
  sheet: AzureCheckSheet,
): void {
  const id = 'azure.policy.userData';
  if (isUnchecked(userData)) {
    waive(sheet, id, userData);
    return;
  }
  if (claims === undefined) {
    sheet.skip([id], 'azure.claims');
    return;
  }
  const isEqual = equalPublic(claims.userData, userData.equals);
  sheet.judge(
    id,
    isEqual,
    () => toHex(userData.equals),
    () => toHex(claims.userData),
  );
}

/** Names the tuple that the registers match. */
export function judgeTuple(
  pcrs: VtpmReading['pcrs'],
  policy: AzurePolicy,
  sheet: AzureCheckSheet,
): string | undefined {
  const id = 'azure.policy.pcrs';
  if (isUnchecked(policy.pcrs)) {
    waive(sheet, id, policy.pcrs);
    return undefined;
  }
  if (pcrs === undefined) {
    sheet.skip([id], 'azure.pcr.values');
    return undefined;
  }
  const { anyOf } = policy.pcrs;
  const values = new Map(pcrs);
  const match = anyOf.find((tuple) => isMeaningful(tuple) && differing(tuple, values).length === 0);
  sheet.judge(id, match !== undefined, `one of ${anyOf.length} whole tuples`, () =>
    nearestText(anyOf, values),
  );
  return match?.image;
}

/** Registers from here on can be reset without a restart. */
const RESETTABLE_FROM = 16;

function isMeaningful({ values }: PcrTuple): boolean {
  return [...values.keys()].some((index) => index < RESETTABLE_FROM);
}

function differing({ values }: PcrTuple, got: PcrValues): readonly number[] {
  return [...values]
    .filter(([index, want]) => {
      const value = got.get(index);
      return value === undefined || !equalPublic(value, want);
    })
    .map(([index]) => index);
}

function nearestText(tuples: readonly PcrTuple[], got: PcrValues): string {
  let best: { readonly tuple: PcrTuple; readonly indexes: readonly number[] } | undefined;
  for (const tuple of tuples.filter(isMeaningful)) {
    const indexes = differing(tuple, got);
    if (best === undefined || indexes.length < best.indexes.length) best = { tuple, indexes };
  }
  if (best === undefined) return 'no tuple names a register of 0 to 15';
  return `nearest is ${best.tuple.image}, differing in PCR ${best.indexes.join(', ')}`;
}
