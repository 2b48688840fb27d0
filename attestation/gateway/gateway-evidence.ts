/**
 * The evidence of a gateway on the wire: as a worker's, with another format and without a card. Only sizes and encodings are
 * checked here. Spec: docs/attested-gateway.md "Evidence".
 * @module
 */

import { z } from 'zod';
import { toBase64 } from '../../core/bytes.ts';
import { evidenceError } from '../errors.ts';
import {
  decodeEvidence,
  encodeEvidence,
  withEndorsements,
  type EvidenceBundle,
  type EvidenceJson,
} from '../evidence.ts';
import type { SnpEndorsements } from '../snp/endorsements.ts';
import type { TdxCollateral } from '../tdx/collateral.ts';
import type { TeeName } from '../verdict.ts';

export const GATEWAY_EVIDENCE_FORMAT = 'veilgate.gateway-evidence/1';

export interface GatewayEvidence {
  /** As transmitted; the quote covers these very bytes. */
  readonly statement: Uint8Array;
  /** What a machine's verifier reads: there is no card in it. */
  readonly machine: EvidenceBundle;
}

const NO_CARD = new Uint8Array();

/** Undefined when the endorsements are of another kind of machine than the quote. */
export function gatewayEvidence(
  parts: { readonly tee: TeeName; readonly statement: Uint8Array; readonly quote: Uint8Array },
  endorsements: TdxCollateral | SnpEndorsements,
): GatewayEvidence | undefined {
  const machine = withEndorsements({ ...parts, card: NO_CARD }, endorsements);
  return machine === undefined ? undefined : { statement: parts.statement, machine };
}

const SCHEMA = z.looseObject({
  fmt: z.literal(GATEWAY_EVIDENCE_FORMAT),
  card: z.undefined().optional(),
});

export type GatewayEvidenceJson = Omit<EvidenceJson, 'card'> & {
  readonly fmt: typeof GATEWAY_EVIDENCE_FORMAT;
};

/** Throws `evidence.format`, `evidence.size`. */
export function decodeGatewayEvidence(json: unknown): GatewayEvidence {
  const read = SCHEMA.safeParse(json);
  if (!read.success) throw evidenceError('evidence.format', `want ${GATEWAY_EVIDENCE_FORMAT}`);
  const { fmt: _fmt, card: _card, ...rest } = read.data;
  const machine = decodeEvidence({ ...rest, card: toBase64(NO_CARD) });
  return { statement: machine.statement, machine };
}

/** Throws `evidence.size`. */
export function encodeGatewayEvidence({ machine }: GatewayEvidence): GatewayEvidenceJson {
  const { card: _card, ...rest } = encodeEvidence(machine);
  return { fmt: GATEWAY_EVIDENCE_FORMAT, ...rest };
}
