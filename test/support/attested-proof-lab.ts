/**
 * The proof of an answer through a gateway in a TEE made by hand, with every key in the test's hands. Each party's lie is one
 * change here, signed as it would be. @module
 */

import { randomBytes } from '#primitives';
import { utf8 } from '../../core/bytes.ts';
import { encodeGatewayEvidence } from '../../attestation/gateway/gateway-evidence.ts';
import type { AttestedProof } from '../../client/attested/attested-proof.ts';
import { parseBill } from '../../client/pay/bill.ts';
import { verifyGatewayDocument } from '../../protocol/gateway-document.ts';
import {
  buildGatewayEvidence,
  GATEWAY_HOST,
  gatewaysSection,
  type GatewayFaults,
} from './gateway-evidence.ts';
import { proofOf, type ProofLies } from './proof-lab.ts';
import { createTestPki, type TestPki } from './tdx/pki.ts';

export interface AttestedLies {
  readonly response?: ProofLies;
  readonly gateway?: GatewayFaults;
  readonly proof?: Partial<AttestedProof['gateway']>;
}

const TLS_SPKI = randomBytes(32);
let pki: Promise<TestPki> | undefined;

export async function attestedProofOf(lies: AttestedLies = {}): Promise<AttestedProof> {
  pki ??= createTestPki();
  const authority = await pki;
  const response = await proofOf({
    pki: authority,
    ...lies.response,
    policy: { gateways: gatewaysSection(), ...lies.response?.policy },
    bill: {
      ...lies.response?.bill,
      document: { tlsSpkiSha256: [TLS_SPKI], ...lies.response?.bill?.document },
    },
  });
  const { gateway: shown, atMs } = parseBill(response.bill);
  const document = verifyGatewayDocument(shown, atMs);
  const evidence = await buildGatewayEvidence(authority, {
    ...lies.gateway,
    statement: {
      keys: {
        identity: document.identity,
        tls: { spkiSha256: TLS_SPKI },
        ledger: document.settlement.ledgerKeys,
      },
      ...lies.gateway?.statement,
    },
  });
  return {
    gateway: {
      evidence: utf8(JSON.stringify(encodeGatewayEvidence(evidence))),
      host: GATEWAY_HOST,
      spkiSha256: TLS_SPKI,
      challenge: null,
      ...lies.proof,
    },
    response,
  };
}
