/** Judges what a gateway shows of itself, by a policy or without one. @module */

import type { Bytes } from '../../core/bytes.ts';
import { appraiseGateway } from '../../attestation/gateway/appraise-gateway.ts';
import type { GatewayEvidence } from '../../attestation/gateway/gateway-evidence.ts';
import {
  verifyGatewayStatement,
  type Expected,
} from '../../attestation/gateway/gateway-statement-checks.ts';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import type { TeeFacts } from '../../attestation/tee.ts';
import { teeOf } from '../../attestation/tees.ts';
import type { Verdict } from '../../attestation/verdict.ts';
import { readRoot } from './gather.ts';

export interface AskedOf {
  readonly evidence: GatewayEvidence;
  readonly options: { readonly aud?: string; readonly root?: string };
  readonly challenge: Bytes<32> | undefined;
  readonly hostname: string;
  readonly nowMs: number;
}

function expectedAud({ options: { aud } }: AskedOf): Expected<string> {
  if (aud !== undefined) return { equals: aud };
  return { waived: 'taken as it says; pin it with --aud', by: '--aud (not given)' };
}

export function judged(policy: CompiledPolicy, asked: AskedOf): Verdict {
  const { evidence, challenge, hostname, nowMs } = asked;
  return appraiseGateway({
    evidence,
    policy,
    nowMs,
    aud: expectedAud(asked),
    host: { equals: hostname },
    ...(challenge === undefined ? {} : { challenge }),
    revocations: { waived: 'this command knows no list', by: 'veilgate attest gateway' },
  }).verdict;
}

export type Unjudged = Pick<Verdict, 'checks' | 'warnings' | 'simulated' | 'validUntilMs'> &
  Partial<Verdict> & {
    /** Of a genuine machine. */
    readonly facts?: TeeFacts;
  };

/** The machine is genuine and the statement its own; what runs there is compared with nothing. */
export function unjudged(asked: AskedOf): Unjudged {
  const { evidence, options, challenge, hostname, nowMs } = asked;
  const tee = teeOf(evidence.machine.tee);
  const simulatedRoots = options.root === undefined ? [] : [readRoot(options.root).sha256];
  const finding = tee.verify({ evidence: evidence.machine, nowMs, simulatedRoots, caches: {} });
  const { checks } = verifyGatewayStatement({
    bytes: evidence.statement,
    reportData: finding.reportData,
    expected: {
      tee: tee.name,
      aud: expectedAud(asked),
      host: { equals: hostname },
      nonce:
        challenge === undefined
          ? { waived: 'none was set', by: '--challenge (not given)' }
          : { equals: challenge },
    },
    nowMs,
  });
  const { warnings, simulated, validUntilMs, platform, tcbStatus, facts } = finding;
  return {
    checks: [...finding.checks, ...checks],
    warnings,
    simulated,
    validUntilMs,
    ...(platform === undefined ? {} : { platform }),
    ...(tcbStatus === undefined ? {} : { tcbStatus }),
    ...(facts === undefined ? {} : { facts }),
  };
}
