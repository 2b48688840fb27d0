/**
 * TDX quote cases: quote, collateral, root, instant and the few policy members that differ from the default.
 * Spec: tdx vector corpus, "manifest.json", "Collateral file", "Default policy".
 * @module
 */

import { sha256 } from '#primitives';
import { z } from 'zod';
import { DEFAULT_ROOTS, findRoot } from '../../attestation/tdx/roots.ts';
import { TDX_STATUSES } from '../../attestation/tdx/tcb.ts';
import { baselineTdxPolicy, type TdxPolicy } from '../../attestation/tdx/td-policy.ts';
import { verifyTdx, type TdxResult } from '../../attestation/tdx/verify.ts';
import { fixed, fromHex, toHex, type Bytes } from '../../core/bytes.ts';
import { parseInstant } from '../../core/clock.ts';
import { parseCollateralFile } from '../collateral-file.ts';
import type { ReadCaseFile, VectorKind, VectorOutcome } from './kind.ts';
import { vectorsError } from './manifest.ts';

const HEX = z.string().regex(/^(?:[0-9a-fA-F]{2})*$/);

/** Strict: a member that this program does not know must not be left out silently. */
const POLICY = z.strictObject({
  acceptedTcbStatuses: z.array(z.string()).optional(),
  deniedAdvisories: z.array(z.string()).optional(),
  minTcbEvaluationDataNumber: z.int().min(0).optional(),
  allowDebug: z.boolean().optional(),
  requireSeptVeDisable: z.boolean().optional(),
  tdAttributes: HEX.optional(),
  xfam: HEX.optional(),
  mrTd: z.array(HEX).optional(),
  mrSeam: z.array(HEX).optional(),
  reportData: HEX.optional(),
  minTeeTcbSvn: HEX.optional(),
});
type CasePolicy = z.infer<typeof POLICY>;

const CASE = z.object({
  quote: z.string(),
  collateral: z.string(),
  root: z.string(),
  time: z.string(),
  policy: POLICY.optional(),
});

function run(entry: unknown, readFile: ReadCaseFile): VectorOutcome {
  const { quote, collateral, root, time, policy } = CASE.parse(entry);
  const nowMs = parseInstant(time);
  if (nowMs === undefined) throw vectorsError('vectors.case', 'time is not an instant');
  const rootSha256 = sha256(readFile(root));
  const rules = policyOf(policy ?? {});
  const result = verifyTdx({
    quote: readFile(quote),
    collateral: parseCollateralFile(readFile(collateral)),
    nowMs,
    policy: rules.policy,
    roots: [findRoot(DEFAULT_ROOTS, rootSha256) ?? { sha256: rootSha256, simulated: true }],
  });
  const failing = result.checks
    .filter((check) => check.outcome === 'fail')
    .map((check): string => check.id);
  const accepted = result.accepted && rules.impossible.length === 0;
  return {
    verdict: accepted ? 'accept' : 'reject',
    failing: [...failing, ...rules.impossible],
    warnings: result.warnings.map((warning) => warning.id),
    authentic: result.authentic,
    tcb: tcbOf(result),
    fields: fieldsOf(result),
  };
}

const UNASKED = { unchecked: 'the case does not ask' };

/** `impossible` names checks whose expected value has a size that nothing can equal. */
function policyOf(given: CasePolicy): {
  readonly policy: TdxPolicy;
  readonly impossible: readonly string[];
} {
  const impossible: string[] = [];
  const sized = <N extends number>(
    hex: string | undefined,
    size: N,
    id: string,
  ): Bytes<N> | undefined => {
    const bytes = hex === undefined ? undefined : fromHex(hex);
    if (bytes === undefined || bytes.length === size) return bytes && fixed(bytes, size);
    impossible.push(id);
    return undefined;
  };
  const exactly = <N extends number>(
    hex: string | undefined,
    size: N,
    id: string,
  ): { readonly equals: Bytes<N> } | typeof UNASKED => {
    const equals = sized(hex, size, id);
    return equals === undefined ? UNASKED : { equals };
  };
  const base = baselineTdxPolicy({
    reportData: exactly(given.reportData, 64, 'policy.reportData'),
    measurements: UNASKED,
  });
  const policy: TdxPolicy = {
    ...base,
    acceptedTcbStatuses:
      given.acceptedTcbStatuses === undefined
        ? base.acceptedTcbStatuses
        : TDX_STATUSES.filter((status) => given.acceptedTcbStatuses?.includes(status)),
    deniedAdvisories: given.deniedAdvisories ?? [],
    minTcbEvaluationDataNumber: given.minTcbEvaluationDataNumber ?? UNASKED,
    minTeeTcbSvn: sized(given.minTeeTcbSvn, 16, 'policy.minTeeTcbSvn') ?? UNASKED,
    debug: given.allowDebug === true ? { unchecked: 'the case allows it' } : 'refuse',
    septVeDisable: given.requireSeptVeDisable === false ? UNASKED : 'require',
    tdAttributes: exactly(given.tdAttributes, 8, 'policy.tdAttributes'),
    xfam: exactly(given.xfam, 8, 'policy.xfam'),
    mrSeam: listOf(given.mrSeam),
    mrTd: listOf(given.mrTd),
  };
  return { policy, impossible };
}

function listOf(list: readonly string[] | undefined): TdxPolicy['mrTd'] {
  if (list === undefined) return UNASKED;
  const values = list.map(fromHex).filter((bytes) => bytes.length === 48);
  return { anyOf: values.map((bytes) => fixed(bytes, 48)) };
}

function tcbOf({ tcb }: TdxResult): VectorOutcome['tcb'] {
  if (tcb === undefined) return null;
  return {
    status: tcb.status,
    launchStatus: tcb.launch.status,
    currentStatus: tcb.current.status,
    advisoryIds: tcb.launch.advisoryIds,
    currentAdvisoryIds: tcb.current.advisoryIds,
    tcbDate: tcb.launch.tcbDate ?? null,
    evaluationDataNumber: tcb.evaluationDataNumber,
  };
}

function fieldsOf({ quote, ...result }: TdxResult): VectorOutcome['fields'] {
  if (quote === undefined) return null;
  const { td, qe } = quote;
  // A manifest states what was parsed, also from evidence that is refused.
  const platform = result.platform ?? result.unverifiedPlatform;
  return {
    version: quote.version,
    bodyType: quote.bodyType,
    teeTcbSvn: toHex(td.teeTcbSvn),
    mrSeam: toHex(td.mrSeam),
    mrSignerSeam: toHex(td.mrSignerSeam),
    seamAttributes: toHex(td.seamAttributes),
    tdAttributes: toHex(td.tdAttributes),
    xfam: toHex(td.xfam),
    mrTd: toHex(td.mrTd),
    mrConfigId: toHex(td.mrConfigId),
    mrOwner: toHex(td.mrOwner),
    mrOwnerConfig: toHex(td.mrOwnerConfig),
    rtmr: td.rtmr.map(toHex),
    reportData: toHex(td.reportData),
    ...(td.v15 === undefined
      ? {}
      : { teeTcbSvn2: toHex(td.v15.teeTcbSvn2), mrServiceTd: toHex(td.v15.mrServiceTd) }),
    qe: { mrSigner: toHex(qe.mrSigner), isvProdId: qe.isvProdId, isvSvn: qe.isvSvn },
    trailingBytes: quote.trailingBytes,
    ...(platform === undefined ? {} : { pck: pckFieldsOf(platform) }),
  };
}

function pckFieldsOf(platform: NonNullable<TdxResult['platform']>): Record<string, unknown> {
  const { platformInstanceId, configuration } = platform;
  return {
    ppid: platform.ppid,
    ...(platformInstanceId === undefined ? {} : { platformInstanceId }),
    sgxType: platform.sgxType,
    ...(configuration === undefined ? {} : { configuration }),
    fmspc: platform.fmspc,
    pceId: platform.pceId,
    pceSvn: platform.pceSvn,
    tcbComponents: platform.tcbComponents,
  };
}

export const tdxVectors: VectorKind = { name: 'tdx', run };
