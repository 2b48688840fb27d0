/**
 * Makes the proof of an answer while it is read: hashes both texts as they pass, and puts together what the session judged
 * by. Spec: docs/response-proof.md.
 * @module
 */

import { toHex, utf8 } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { assert } from '../../core/errors.ts';
import { encodeEvidence } from '../../attestation/evidence.ts';
import { encodeState } from '../../attestation/publication/saved-state.ts';
import { randomBytes, sha256Stream } from '#primitives';
import type { AnswerSink, OpenedAnswer } from '../answer-opener.ts';
import { encodeBill } from '../pay/bill.ts';
import { unpaidBill } from '../pay/judge.ts';
import type { Session } from '../session.ts';
import type { TrustBasis } from '../trust.ts';
import { encodeProof, hashText, textPrefix, type PolicyProof } from './response-proof.ts';

/** One answer's. Holds no content. */
export interface KeptProof {
  /** As in `x-request-id`. */
  readonly requestId: string;
  /** The file for `veilgate verify-response`. Throws `client.proof` for one above its bound. */
  readonly encode: () => Uint8Array;
}

export interface ProofKeeper {
  /** In place of the sink of an answer. */
  along(sink: AnswerSink): AnswerSink;
  /** Of the whole answer. */
  of(answer: OpenedAnswer): Promise<KeptProof>;
}

export function keepProof(
  request: Uint8Array,
  { session, clock }: { readonly session: Session; readonly clock: Clock },
): ProofKeeper {
  const salt = randomBytes(32);
  const requestHash = hashText(salt, 'request', request);
  const running = sha256Stream();
  for (const part of textPrefix(salt, 'response')) running.update(part);
  return {
    along: (sink) => ({
      head: (head) => sink.head(head),
      data: (bytes) => {
        running.update(bytes);
        return sink.data(bytes);
      },
      drain: () => sink.drain(),
    }),
    of: async (answer) => {
      const { head, receipt } = answer;
      assert(receipt !== undefined, 'every request of this client demands a receipt');
      const { evidence, trust, atMs } = session.admissionOf(head.key);
      const { basis } = trust;
      assert(basis !== undefined, 'a client has its trust from a source of its own');
      const bill = await billOf(answer, { session, clock });
      const response = running.digest();
      return {
        requestId: `sx_${toHex(head.msgId)}`,
        encode: () =>
          encodeProof({
            appraisedAtMs: atMs,
            evidence: utf8(JSON.stringify(encodeEvidence(evidence))),
            policy: policyProof(basis),
            bill: bill(),
            texts: { salt, request: requestHash, response },
          }),
      };
    },
  };
}

/** A bill that does not hold is shown to whoever pays; the proof of its answer has one that claims no payment. */
async function billOf(
  answer: OpenedAnswer,
  parts: { readonly session: Session; readonly clock: Clock },
): Promise<() => Uint8Array> {
  if (answer.settlement !== undefined) return answer.settlement.bill;
  const bill = await unpaidBillOf(answer, parts);
  return () => bill;
}

/** What shows what an answer cost whom no channel pays. */
export async function unpaidBillOf(
  { asked, receipt, ledger, head }: OpenedAnswer,
  { session, clock }: { readonly session: Session; readonly clock: Clock },
): Promise<Uint8Array> {
  assert(receipt !== undefined, 'every request of this client demands a receipt');
  const { document } = await session.gatewayView(new AbortController().signal);
  return encodeBill(
    unpaidBill(asked, receipt, {
      line: ledger,
      worker: session.proofOf(head.key),
      gateway: document,
      atMs: clock(),
    }),
  );
}

export function policyProof(basis: TrustBasis): PolicyProof {
  if (basis.kind === 'unsigned') {
    return { kind: 'unsigned', canonical: utf8(basis.policy.canonical) };
  }
  const { mode, state, unreleased } = basis;
  return { kind: 'signed', mode, state: encodeState(state), unreleased: unreleased?.bytes };
}
