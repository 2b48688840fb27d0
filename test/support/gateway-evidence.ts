/**
 * One gateway's complete evidence and a policy that lets it hold plaintext, sound in everything except for what a test names.
 * The quote comes from the test hierarchy. Spec: docs/attested-gateway.md.
 * @module
 */

import { generateEd25519, randomBytes, sha256 } from '#primitives';
import {
  appraiseGateway,
  type AppraiseGatewayInput,
  type GatewayAppraisal,
} from '../../attestation/gateway/appraise-gateway.ts';
import {
  gatewayEvidence,
  type GatewayEvidence,
} from '../../attestation/gateway/gateway-evidence.ts';
import {
  encodeGatewayStatement,
  gatewayAudOf,
  gatewayReportDataOf,
  type GatewayStatementFields,
} from '../../attestation/gateway/gateway-statement.ts';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { toHex, utf8, type Bytes } from '../../core/bytes.ts';
import type { Json } from '../../core/json.ts';
import { buildCase, filled, type CollateralFaults, type QuoteFaults } from './tdx/case.ts';
import { NOW_MS, type TestPki } from './tdx/pki.ts';
import {
  NOTHING_REVOKED,
  TEST_CPU,
  TEST_IMAGE,
  TEST_TUPLE,
  testPolicy,
} from './worker-evidence.ts';

export const GATEWAY_WORKLOAD = {
  image: sha256(utf8('test gateway image')),
  config: sha256(utf8('test gateway configuration')),
};
/** What only the test's gateway measures. */
export const GATEWAY_MRTD = filled(48, 0x9a);
export const GATEWAY_HOST = 'gateway.example';
const IDENTITY = generateEd25519().publicKey;
export const GATEWAY_AUD = gatewayAudOf(IDENTITY);

export const GATEWAY_IMAGE = {
  ...TEST_IMAGE,
  name: 'test-gateway',
  workload: {
    image: `sha256:${toHex(GATEWAY_WORKLOAD.image)}`,
    config: `sha256:${toHex(GATEWAY_WORKLOAD.config)}`,
  },
  tdx: [{ ...TEST_TUPLE, mrtd: toHex(GATEWAY_MRTD) }],
};

export const GATEWAY_RULE = { id: 'test-gateway-rule', images: ['test-gateway'], cpu: TEST_CPU };

export function gatewaysSection(overrides: Readonly<Record<string, Json>> = {}): Json {
  return {
    challenge: { any: true, note: 'a statement dates itself' },
    rules: [GATEWAY_RULE],
    images: [GATEWAY_IMAGE],
    ...overrides,
  };
}

export function gatewayPolicy(
  rootSha256: Bytes<32>,
  overrides: Readonly<Record<string, Json>> = {},
): CompiledPolicy {
  return testPolicy(rootSha256, { gateways: gatewaysSection(), ...overrides });
}

export interface GatewayFaults {
  readonly statement?: Partial<GatewayStatementFields>;
  /** As it is sent, in place of the encoded one. The quote covers it. */
  readonly statementBytes?: Uint8Array;
  readonly quote?: QuoteFaults;
  readonly collateral?: CollateralFaults;
  /** What the quote covers, in place of the statement. */
  readonly reportData?: Bytes<64>;
}

export function gatewayStatement(
  overrides: Partial<GatewayStatementFields> = {},
): GatewayStatementFields {
  return {
    hosts: [GATEWAY_HOST],
    iat: NOW_MS / 1000 - 30,
    exp: NOW_MS / 1000 + 570,
    nonce: null,
    tee: 'tdx',
    keys: { identity: IDENTITY, tls: { spkiSha256: randomBytes(32) }, ledger: [] },
    workload: GATEWAY_WORKLOAD,
    ...overrides,
  };
}

export async function buildGatewayEvidence(
  pki: TestPki,
  faults: GatewayFaults = {},
): Promise<GatewayEvidence> {
  const statement =
    faults.statementBytes ?? encodeGatewayStatement(gatewayStatement(faults.statement));
  const reportData = faults.reportData ?? gatewayReportDataOf(statement);
  const { quote, collateral } = await buildCase(pki, {
    quote: {
      ...faults.quote,
      td: { reportData, mrTd: GATEWAY_MRTD, ...faults.quote?.td },
    },
    ...(faults.collateral === undefined ? {} : { collateral: faults.collateral }),
  });
  const evidence = gatewayEvidence({ tee: 'tdx', statement, quote }, collateral);
  if (evidence === undefined) throw new Error('collateral of the same kind');
  return evidence;
}

/** Appraises with everything as it should be except for `overrides`. */
export function appraiseTestGateway(
  pki: TestPki,
  evidence: GatewayEvidence,
  overrides: Partial<AppraiseGatewayInput> = {},
): GatewayAppraisal {
  return appraiseGateway({
    evidence,
    policy: gatewayPolicy(sha256(pki.sound.root.der)),
    nowMs: NOW_MS,
    aud: { equals: GATEWAY_AUD },
    host: { equals: GATEWAY_HOST },
    revocations: NOTHING_REVOKED,
    ...overrides,
  });
}
