/**
 * TDX quote, collateral, policy and one instant in; a complete list of checks out. Pure and synchronous: no network,
 * no clock, no environment. Evidence of any content and size ends in a result, never in an exception.
 * Spec: Intel TDX DCAP Quoting Library API, Appendix A; Intel SGX and TDX PCS API v4.
 * @module
 */

import { assert } from '../../core/errors.ts';
import { attempt } from '../attempt.ts';
import type { Certificate } from '../pki/certificate.ts';
import { judgeList } from '../pki/revocation.ts';
import type { TdxCache } from './cache.ts';
import { judgePckChain, type Judging, type PckChain } from './chain.ts';
import {
  AUTHENTICITY_CHECKS,
  POLICY_CHECKS,
  tdxCheckSheet,
  type TdxCheckId,
  type TdxCheckSheet,
} from './check-list.ts';
import type { TdxCollateral } from './collateral.ts';
import { judgeDocument, judgeQeIdentity, judgeTcbInfo, type DocumentContext } from './documents.ts';
import type { PckExtension } from './pck-extension.ts';
import {
  judgePlatformPolicy,
  judgeTcbPolicy,
  judgeTdPolicy,
  skipTcbPolicy,
  skipTdPolicy,
} from './policy-checks.ts';
import type { QeIdentity } from './qe-identity.ts';
import {
  judgeModule,
  judgeQeAgainstIdentity,
  judgeQeReport,
  judgeQuote,
  MODULE_CHECKS,
  QE_CHECKS,
} from './quote-checks.ts';
import { parseTdxQuote, type TdxQuote } from './quote.ts';
import { CertificateReader, type ReadCollateral } from './read.ts';
import {
  recallCollateral,
  recallParts,
  remember,
  type QuoteParts,
  type Recalling,
} from './recall.ts';
import {
  chainEndsMs,
  collateralUsed,
  factsOf,
  platformOf,
  warningsOf,
  type TdxResult,
} from './result.ts';
import { judgeChainRevocation, PCK_CRL_CHECKS, ROOT_CRL_CHECKS } from './revocation.ts';
import { DEFAULT_ROOTS, type TrustRoot } from './roots.ts';
import { evaluateTcb } from './tcb-evaluation.ts';
import type { TcbInfo } from './tcb-info.ts';
import type { TdxTcb } from './tcb.ts';
import type { TdxMeasurement, TdxPolicy } from './td-policy.ts';

export type { TdxPlatform, TdxQuoteFacts, TdxResult } from './result.ts';

export interface TdxVerifyInput {
  readonly quote: Uint8Array;
  readonly collateral: TdxCollateral;
  /** The one instant at which everything must be valid, Unix ms. */
  readonly nowMs: number;
  readonly policy: TdxPolicy;
  /** Absent: Intel's root alone. */
  readonly roots?: readonly TrustRoot[];
  /** Makes repeated verification faster and changes no answer. */
  readonly cache?: TdxCache;
}

/** Never throws on bad evidence. */
export function verifyTdx(input: TdxVerifyInput): TdxResult {
  const { nowMs, cache } = input;
  const sheet = tdxCheckSheet();
  const judging: Judging = { sheet, nowMs, roots: input.roots ?? DEFAULT_ROOTS };
  const certificates = new CertificateReader((block) => cache?.authorities.get(block, nowMs));
  const recalling: Recalling = { cache, nowMs, certificates };
  const collateral = recallCollateral(input.collateral, recalling);
  const quote = readQuote(input.quote, sheet);
  const parts = quote === undefined ? undefined : recallParts(quote, input.collateral, recalling);
  const chain = judgeParts(quote, parts, judging);
  const documents = judgeCollateral(collateral.value.read, chain, judging);
  const evidence: Evidence = { quote, chain, ...documents };
  judgeAgainstDocuments(evidence, collateral.value.read, sheet);
  const machine = authenticMachine(evidence, sheet);
  const measurement = judgePolicy(input.policy, { quote, machine }, sheet);
  if (cache !== undefined && parts !== undefined && machine !== undefined) {
    remember(cache, { collateral, certificates, ...parts, ...machine });
  }
  return {
    checks: sheet.close(),
    warnings: warningsOf({ quote, pck: chain?.extension, ...documents }),
    authentic: machine !== undefined,
    accepted: machine !== undefined && sheet.firstBad(POLICY_CHECKS) === undefined,
    ...(machine === undefined ? {} : { tcb: machine.tcb }),
    ...platformMember(chain, machine, sheet),
    ...(quote === undefined ? {} : { quote: factsOf(quote) }),
    ...(measurement === undefined ? {} : { measurement }),
    collateral: collateralUsed(collateral.value.read),
    simulated: chain?.trusted?.simulated ?? false,
    validUntilMs:
      machine === undefined ? 0 : Math.min(machine.collateralEndsMs, machine.chainEndsMs),
  };
}

interface Documents {
  readonly tcbInfo: TcbInfo | undefined;
  readonly qeIdentity: QeIdentity | undefined;
  /** Earliest end of everything in the collateral. */
  readonly collateralEndsMs: number;
}

interface Evidence extends Documents {
  readonly quote: TdxQuote | undefined;
  readonly chain: PckChain | undefined;
}

/** Exists only when every check of authenticity passed. */
interface Machine {
  readonly tcb: TdxTcb;
  readonly pck: PckExtension;
  /** The CAs of the PCK chain. */
  readonly authorities: readonly Certificate[];
  readonly collateralEndsMs: number;
  readonly chainEndsMs: number;
}

function readQuote(bytes: Uint8Array, sheet: TdxCheckSheet): TdxQuote | undefined {
  const read = attempt(() => parseTdxQuote(bytes));
  if (read.outcome === 'read') {
    sheet.pass('quote.format');
    return read.value;
  }
  sheet.fail('quote.format', 'a TDX quote of version 4 or 5', read.reason);
  return undefined;
}

const WITHOUT_QUOTE: readonly TdxCheckId[] = [
  'quote.qeVendor',
  'quote.attestationKey',
  'quote.signature',
  'qe.keyBinding',
  'qe.reportSignature',
  'pck.chain',
  'pck.root',
  'pck.leafRole',
  'pck.caConstraint',
  'pck.validity',
  'pck.extension',
];

function judgeParts(
  quote: TdxQuote | undefined,
  parts: QuoteParts | undefined,
  judging: Judging,
): PckChain | undefined {
  const { sheet } = judging;
  if (quote === undefined || parts === undefined) {
    sheet.skip(WITHOUT_QUOTE, 'quote.format');
    return undefined;
  }
  judgeQuote(quote, parts.qe.value, sheet);
  const chain = judgePckChain(parts.chain.value, judging);
  judgeQeReport(parts.qe.value, chain, sheet);
  return chain;
}

function judgeCollateral(
  read: ReadCollateral,
  chain: PckChain | undefined,
  judging: Judging,
): Documents {
  const { sheet, nowMs } = judging;
  const cause: TdxCheckId = 'pck.chain';
  const rootCrl = judgeList(ROOT_CRL_CHECKS, read.rootCrl.crl, {
    sheet,
    nowMs,
    issuer: chain?.root,
    cause,
  });
  const pckCrl = judgeList(PCK_CRL_CHECKS, read.pckCrl.crl, {
    sheet,
    nowMs,
    issuer: chain?.intermediate,
    cause,
  });
  judgeChainRevocation(chain, { rootCrl, pckCrl }, { sheet, cause });
  const context: DocumentContext = { judging, rootCrl, pckChain: chain };
  const tcbInfo = judgeDocument('tcbInfo', read.tcbInfo, context);
  const qeIdentity = judgeDocument('qeIdentity', read.qeIdentity, context);
  return {
    tcbInfo: tcbInfo.content,
    qeIdentity: qeIdentity.content,
    collateralEndsMs: Math.min(
      ...collateralUsed(read).map((document) => document.nextUpdateMs),
      tcbInfo.signer?.notAfterMs ?? 0,
      qeIdentity.signer?.notAfterMs ?? 0,
    ),
  };
}

/** Whether the documents are about this machine and this quote. */
function judgeAgainstDocuments(
  evidence: Evidence,
  read: ReadCollateral,
  sheet: TdxCheckSheet,
): void {
  const { quote, chain, tcbInfo, qeIdentity } = evidence;
  const pckCause = chain === undefined ? 'pck.chain' : 'pck.extension';
  judgeTcbInfo(read.tcbInfo.body, chain?.extension, { sheet, pckCause });
  judgeQeIdentity(read.qeIdentity.body, sheet);
  if (quote === undefined) {
    sheet.skip([...QE_CHECKS, ...MODULE_CHECKS], 'quote.format');
    return;
  }
  judgeQeAgainstIdentity(quote.qe, qeIdentity, sheet);
  judgeModule(quote.td, tcbInfo, sheet);
}

function authenticMachine(evidence: Evidence, sheet: TdxCheckSheet): Machine | undefined {
  if (sheet.firstBad(AUTHENTICITY_CHECKS) !== undefined) return undefined;
  const { quote, chain, tcbInfo, qeIdentity, collateralEndsMs } = evidence;
  const pck = chain?.extension;
  assert(quote !== undefined && chain !== undefined && pck !== undefined, 'authentic parts');
  assert(tcbInfo !== undefined && qeIdentity !== undefined, 'authentic documents');
  return {
    tcb: evaluateTcb({ tcbInfo, qeIdentity, pck, td: quote.td, qe: quote.qe }),
    pck,
    authorities: [chain.intermediate, chain.root],
    collateralEndsMs,
    chainEndsMs: chainEndsMs(chain),
  };
}

/** The TD's own rules are judged on any readable quote; those about the machine need an authentic one. */
function judgePolicy(
  policy: TdxPolicy,
  { quote, machine }: { quote: TdxQuote | undefined; machine: Machine | undefined },
  sheet: TdxCheckSheet,
): TdxMeasurement | undefined {
  if (machine === undefined) {
    skipTcbPolicy(sheet, sheet.firstBad(AUTHENTICITY_CHECKS) ?? 'quote.format');
  } else {
    judgeTcbPolicy(machine.tcb, policy, sheet);
    judgePlatformPolicy(machine.pck, policy, sheet);
  }
  if (quote !== undefined) return judgeTdPolicy(quote.td, policy, sheet);
  skipTdPolicy(sheet, 'quote.format');
  return undefined;
}

const IDENTITY_CHECKS: readonly TdxCheckId[] = [
  'pck.chain',
  'pck.root',
  'pck.leafRole',
  'pck.caConstraint',
  'pck.extension',
];

/**
 * PCK chains are public: under a quote that is not authentic, a genuine one names a machine that may have nothing to do
 * with it. Whoever bans or rates by identity reads `platform` and can not be made to hit a stranger.
 */
function platformMember(
  chain: PckChain | undefined,
  machine: Machine | undefined,
  sheet: TdxCheckSheet,
): Pick<TdxResult, 'platform' | 'unverifiedPlatform'> {
  if (chain?.extension === undefined || chain.ca === undefined) return {};
  if (sheet.firstBad(IDENTITY_CHECKS) !== undefined) return {};
  const platform = platformOf(chain.extension, chain.ca, chain.leaf.serial);
  return machine === undefined ? { unverifiedPlatform: platform } : { platform };
}
