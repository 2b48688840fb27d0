/** The section of a policy that lets one gateway hold plaintext, tried on the evidence that it was drafted from. @module */

import { compilePolicy } from '../../attestation/policy/compile.ts';
import type { GatewayStatement } from '../../attestation/gateway/gateway-statement.ts';
import type { TeeFacts } from '../../attestation/tee.ts';
import type { Verdict } from '../../attestation/verdict.ts';
import { utf8 } from '../../core/bytes.ts';
import { gatewayDraftOf } from '../policy/draft-gateway.ts';
import { readRoot } from './gather.ts';
import { judged, type AskedOf } from './judge-own.ts';

export type DraftedOwn =
  | { readonly outcome: 'drafted'; readonly section: string }
  /** No policy should admit it as it is: not even one made for it. */
  | { readonly outcome: 'refused'; readonly verdict: Verdict };

interface ProvenOwn {
  readonly facts: TeeFacts;
  readonly statement: GatewayStatement;
  readonly origin: string;
  readonly isSimulated: boolean;
}

/** Of a gateway whose machine, statement and key hold. Throws `policy.*` where the draft itself is at fault. */
export function draftOwn(
  asked: AskedOf,
  { facts, statement, origin, isSimulated }: ProvenOwn,
): DraftedOwn {
  const { root } = isSimulated ? asked.options : {};
  const { section, whole } = gatewayDraftOf({
    facts,
    statement,
    nowMs: asked.nowMs,
    source: origin,
    simulatedRoot: root === undefined ? undefined : readRoot(root).sha256,
  });
  const verdict = judged(compilePolicy(utf8(whole)), asked);
  return verdict.decision === 'admitted'
    ? { outcome: 'drafted', section }
    : { outcome: 'refused', verdict };
}
