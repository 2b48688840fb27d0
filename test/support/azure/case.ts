/**
 * One Azure machine as a test wants it: sound in everything, except for what the test names. The hardware's part comes
 * from the test hierarchies of AMD's and Intel's shape. Spec: sev-snp.md §5, tdx.md §8.
 * @module
 */

import { sha256 } from '#primitives';
import type {
  AzurePolicy,
  AzureSnpInput,
  AzureTdxInput,
  PcrTuple,
  PcrValues,
} from '../../../attestation/azure/verify-azure.ts';
import type { Check } from '../../../attestation/verdict.ts';
import { concat, fixed, utf8, type Bytes } from '../../../core/bytes.ts';
import { buildSnpCase, type SnpFaults } from '../snp/case.ts';
import { writeHcl, type HclParts } from '../snp/hcl.ts';
import type { SnpTestPki } from '../snp/pki.ts';
import { buildCase, type Faults as TdxFaults } from '../tdx/case.ts';
import type { TestPki } from '../tdx/pki.ts';
import { runtimeClaims, runtimeDataOf, type RuntimeClaims } from './runtime-data.ts';
import { createVtpm, quoteOf, type QuoteFaults, type TestVtpm } from './vtpm.ts';

export const NONCE: Bytes<32> = sha256(utf8('the nonce of this test'));
export const USER_DATA: Bytes<64> = fixed(new Uint8Array(64).fill(0xd7), 64);
/** With a gap, out of order, and with registers above 15. */
export const QUOTED = [0, 1, 2, 3, 4, 5, 6, 7, 14, 9, 11, 23];
const PINNED = [4, 9, 11];

export const VTPM: TestVtpm = createVtpm('this machine');
export const STRANGER: TestVtpm = createVtpm('another machine');

export function pcrsOf({ pcrs }: TestVtpm, indexes: readonly number[] = QUOTED): PcrValues {
  return new Map([...pcrs].filter(([index]) => indexes.includes(index)));
}

export function tupleOf({ name, pcrs }: TestVtpm, indexes: readonly number[] = PINNED): PcrTuple {
  return { image: name, values: new Map([...pcrs].filter(([index]) => indexes.includes(index))) };
}

export function reportDataFor(runtimeData: Uint8Array): Bytes<64> {
  return fixed(concat(sha256(runtimeData), new Uint8Array(32)), 64);
}

export interface AzureFaults {
  /** In place of the machine's vTPM. */
  readonly vtpm?: TestVtpm;
  /** In place of the claims; the report binds what they become. */
  readonly claims?: (claims: RuntimeClaims) => Readonly<Record<string, unknown>>;
  /** In place of the runtime data; the report binds it. */
  readonly runtimeData?: Uint8Array;
  /** What the report binds, in place of the runtime data. */
  readonly bound?: (runtimeData: Uint8Array) => Bytes<64>;
  readonly hcl?: Partial<HclParts>;
  readonly blob?: (blob: Uint8Array) => Uint8Array;
  readonly indexes?: readonly number[];
  readonly quote?: QuoteFaults;
  readonly pcrs?: PcrValues;
  readonly nonce?: Uint8Array;
  /** What the quote was asked for, in place of the nonce that is expected. */
  readonly asked?: Uint8Array;
  readonly policy?: Partial<AzurePolicy>;
  readonly snp?: SnpFaults;
  readonly tdx?: TdxFaults;
}

/** The vTPM's part of a case. */
function vtpmPart(faults: AzureFaults) {
  const vtpm = faults.vtpm ?? VTPM;
  const indexes = faults.indexes ?? QUOTED;
  const nonce = faults.nonce ?? NONCE;
  const claims = runtimeClaims(vtpm, USER_DATA);
  const runtimeData = faults.runtimeData ?? runtimeDataOf(faults.claims?.(claims) ?? claims);
  const azure: AzurePolicy = {
    paravisor: 'pinned',
    pcrs: { anyOf: [tupleOf(STRANGER), tupleOf(VTPM)] },
    userData: { equals: USER_DATA },
    ...faults.policy,
  };
  return {
    runtimeData,
    bound: (faults.bound ?? reportDataFor)(runtimeData),
    azure,
    common: {
      tpm: quoteOf(vtpm, faults.asked ?? nonce, indexes, faults.quote),
      pcrs: faults.pcrs ?? pcrsOf(vtpm, indexes),
      nonce,
    },
  };
}

/** A sound machine with these faults. */
export async function azureSnpCase(
  pki: SnpTestPki,
  faults: AzureFaults = {},
): Promise<AzureSnpInput> {
  const { runtimeData, bound, azure, common } = vtpmPart(faults);
  const { snp } = faults;
  const { evidence, nowMs, policy, anchors } = await buildSnpCase(pki, {
    ...snp,
    report: { ...snp?.report, fields: { reportData: bound, ...snp?.report?.fields } },
    hcl: { ...faults.hcl, runtimeData },
  });
  return {
    ...common,
    blob: (faults.blob ?? ((blob) => blob))(evidence.bytes),
    endorsements: evidence.endorsements,
    policy: { snp: policy, azure },
    nowMs,
    anchors,
  };
}

/** What speaks against a machine, in the order of the report. */
export function failedIds({ checks }: { readonly checks: readonly Check[] }): readonly string[] {
  return checks.filter(({ outcome }) => outcome === 'fail').map(({ id }) => id);
}

/** The report slot of a blob from TDX: a TDREPORT, which means nothing elsewhere, and zeros. */
const TDREPORT_SLOT = concat(new Uint8Array(1024).fill(0x7d), new Uint8Array(160));
export const TDX_REPORT_TYPE = 4;

/** A sound machine with these faults. */
export async function azureTdxCase(pki: TestPki, faults: AzureFaults = {}): Promise<AzureTdxInput> {
  const { runtimeData, bound, azure, common } = vtpmPart(faults);
  const { tdx } = faults;
  const { quote, collateral, nowMs, policy, roots } = await buildCase(pki, {
    ...tdx,
    quote: { ...tdx?.quote, td: { reportData: bound, ...tdx?.quote?.td } },
  });
  const parts = { report: TDREPORT_SLOT, reportType: TDX_REPORT_TYPE, ...faults.hcl, runtimeData };
  return {
    ...common,
    blob: (faults.blob ?? ((blob) => blob))(writeHcl(parts)),
    quote,
    collateral,
    policy: { tdx: policy, azure },
    nowMs,
    roots,
  };
}
