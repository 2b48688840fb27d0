/**
 * The evidence as a gateway would see it: collateral, authenticity, and, with a worker's configuration and a policy, the
 * whole appraisal that decides about registration. Spec: overview "One binding"; gpu-and-policy §5.3.
 * @module
 */

import { randomBytes } from '#primitives';
import { appraise, type Appraisal } from '../../attestation/appraise.ts';
import type { Card } from '../../attestation/card.ts';
import type { Endorser } from '../../attestation/collateral/endorser.ts';
import { isRetry } from '../../attestation/collateral/errors.ts';
import type { EvidenceBundle } from '../../attestation/evidence.ts';
import { explanationOf } from '../../attestation/explanations.ts';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { teeOf } from '../../attestation/tees.ts';
import type { Check, Verdict } from '../../attestation/verdict.ts';
import type { Bytes } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { assert } from '../../core/errors.ts';
import type { WorkerConfig } from '../../enclave-worker/config.ts';
import type {
  CollectedEvidence,
  EvidenceProvider,
} from '../../enclave-worker/evidence/provider.ts';
import { makeEpoch, makeLinkKey, type Epoch } from '../../enclave-worker/keys.ts';
import { ok, problem, skipped, type DoctorFinding } from './finding.ts';
import { textOf } from './machine.ts';

export interface EvidenceReport {
  readonly findings: readonly DoctorFinding[];
  /** What the worker would register with; needs its configuration. */
  readonly epoch?: Epoch;
  /** Of the appraisal under the policy. */
  readonly verdict?: Verdict;
}

export interface EvidenceContext {
  readonly provider: EvidenceProvider;
  readonly collected: CollectedEvidence;
  readonly endorser: Endorser;
  readonly nowMs: number;
  readonly worker?: {
    readonly config: WorkerConfig;
    readonly card: Card;
    readonly cardBytes: Uint8Array;
  };
  readonly policy?: CompiledPolicy;
}

export async function examineEvidence(
  context: EvidenceContext,
  signal: AbortSignal,
): Promise<EvidenceReport> {
  const collateral = await obtain(context, signal);
  if (collateral.bundle === undefined) {
    const rest = ['authenticity', 'policy'].map((id) => skipped(id, 'no collateral'));
    return { findings: [collateral.finding, ...rest] };
  }
  const authenticity = judgeAuthenticity(collateral.bundle, context);
  const registration = await judgeRegistration(context, signal);
  const { epoch, verdict } = registration;
  return {
    findings: [collateral.finding, ...authenticity, ...registration.findings],
    ...(epoch === undefined ? {} : { epoch }),
    ...(verdict === undefined ? {} : { verdict }),
  };
}

async function obtain(
  { collected, endorser }: EvidenceContext,
  signal: AbortSignal,
): Promise<{ readonly finding: DoctorFinding; readonly bundle?: EvidenceBundle }> {
  const { tee, quote, certificates } = collected;
  try {
    const endorsements =
      collected.endorsements ??
      (await endorser.endorse(
        { tee, quote, ...(certificates === undefined ? {} : { certificates }) },
        signal,
      ));
    const nothing = { statement: new Uint8Array(0), card: new Uint8Array(0) };
    const from = collected.endorsements === undefined ? 'obtained' : 'brought by the simulator';
    const bundle: EvidenceBundle | undefined =
      'tcbInfo' in endorsements
        ? { tee: 'tdx', quote, endorsements, ...nothing }
        : { tee: 'snp', quote, endorsements, ...nothing };
    assert(bundle.tee === tee, 'endorsements of another kind of machine');
    return { finding: ok('collateral', from), bundle };
  } catch (error) {
    const remedy = isRetry(error)
      ? "Allow this machine to reach the vendor's service, or put a cache in front (collateral.intel.sources, collateral.amd.mirror; docs/collateral.md)."
      : 'docs/collateral.md: the vendor does not know this platform, or this site works offline without a bundle that has it.';
    return { finding: problem('collateral', textOf(error), remedy) };
  }
}

/** Without a policy: is it genuine, and is nothing true of it that no policy allows. */
function judgeAuthenticity(
  evidence: EvidenceBundle,
  { policy, nowMs }: EvidenceContext,
): readonly DoctorFinding[] {
  const simulatedRoots = policy?.document.roots?.map(({ simulated }) => simulated) ?? [];
  const finding = teeOf(evidence.tee).verify({ evidence, nowMs, simulatedRoots, caches: {} });
  const failed = finding.checks.filter(({ outcome }) => outcome === 'fail');
  if (failed.length > 0) return failedChecks('authenticity', evidence.tee, failed);
  const status = finding.tcbStatus === undefined ? '' : `, TCB ${finding.tcbStatus}`;
  return [
    ok('authenticity', `genuine${status}; holds until ${formatInstant(finding.validUntilMs)}`),
  ];
}

const WAIT_LIFETIME_S = 600;

async function judgeRegistration(
  context: EvidenceContext,
  signal: AbortSignal,
): Promise<EvidenceReport> {
  const { worker, policy, provider, endorser, nowMs } = context;
  if (worker === undefined) {
    return {
      findings: [skipped('policy', 'needs --config: keys, card and workload are judged too')],
    };
  }
  const challenge = randomBytes(32);
  const { config, card, cardBytes } = worker;
  let epoch: Epoch;
  try {
    epoch = await makeEpoch(
      {
        kem: config.kem,
        lifetimeS: WAIT_LIFETIME_S,
        nowMs,
        aud: config.gateway.aud,
        challenge,
        workload: config.workload,
        card,
        cardBytes,
        provider,
        endorser,
        linkKey: await makeLinkKey(nowMs),
      },
      signal,
    );
  } catch (error) {
    const remedy = 'The quote above worked and this one did not: run doctor again.';
    return { findings: [problem('policy', textOf(error), remedy)] };
  }
  if (policy === undefined) {
    return {
      findings: [skipped('policy', 'needs --policy: whether you would be admitted')],
      epoch,
    };
  }
  const appraisal = judged(epoch, { policy, challenge, aud: config.gateway.aud, nowMs });
  return { findings: admission(appraisal), epoch, verdict: appraisal.verdict };
}

function judged(
  epoch: Epoch,
  input: {
    readonly policy: CompiledPolicy;
    readonly challenge: Bytes<32>;
    readonly aud: string;
    readonly nowMs: number;
  },
): Appraisal {
  const { policy, challenge, aud, nowMs } = input;
  return appraise({
    evidence: epoch.evidence,
    policy,
    nowMs,
    aud,
    challenge: { equals: challenge },
    revocations: { waived: 'only the gateway knows what has been revoked', by: 'veilgate doctor' },
  });
}

function admission({ outcome, verdict }: Appraisal): readonly DoctorFinding[] {
  const name = `${verdict.policy.name}#${verdict.policy.serial}`;
  if (outcome === 'admitted') {
    const rule = [verdict.rule, verdict.image, verdict.shape].filter(Boolean).join(' / ');
    return [ok('policy', `${name} would admit this worker: ${rule}`)];
  }
  const failed = verdict.checks.filter((check) => check.outcome === 'fail');
  if (failed.length === 0) {
    // A denial without a failed check would be a fault of ours; it must not read as an admission.
    const remedy = 'Report this, with the output of doctor --json.';
    return [problem('policy', `${name} would refuse this worker, and no check says why`, remedy)];
  }
  const tee = verdict.checks.some(({ id }) => id === 'report.length') ? 'snp' : 'tdx';
  return failedChecks('policy', tee, failed).map((finding, index) =>
    index === 0
      ? { ...finding, detail: `${name} would refuse this worker. ${finding.detail}` }
      : finding,
  );
}

function failedChecks(
  id: string,
  tee: 'tdx' | 'snp',
  failed: readonly Check[],
): readonly DoctorFinding[] {
  return failed.map((check) => {
    const said =
      check.outcome === 'fail' ? `${check.id}: want ${check.want}, got ${check.got}` : check.id;
    const explanation = explanationOf(tee, check.id);
    return problem(
      id,
      said,
      explanation?.fix ?? 'veilgate attest explain shows the whole verdict.',
    );
  });
}
