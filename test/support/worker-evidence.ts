/**
 * One worker's complete evidence and a policy that admits it, sound in everything except for what a test names. The
 * quote comes from the test hierarchy. Spec: gpu-and-policy §4.2, §4.4, §5.2.
 * @module
 */

import { generateEd25519, generateX25519, randomBytes, sha256 } from '#primitives';
import { appraise, type Appraisal, type AppraiseInput } from '../../attestation/appraise.ts';
import { cardDigestOf, encodeCard, type CardFields } from '../../attestation/card.ts';
import type { EvidenceBundle, TdxEvidence } from '../../attestation/evidence.ts';
import { compilePolicy, type CompiledPolicy } from '../../attestation/policy/compile.ts';
import { NO_REVOCATIONS, type RevocationKnowledge } from '../../attestation/policy/revocations.ts';
import {
  encodeStatement,
  reportDataOf,
  type StatementFields,
} from '../../attestation/statement.ts';
import type { Check } from '../../attestation/verdict.ts';
import { toHex, utf8, type Bytes } from '../../core/bytes.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import { buildCase, tdReport, type CollateralFaults, type QuoteFaults } from './tdx/case.ts';
import { NOW_MS, type TestPki } from './tdx/pki.ts';

export const TEST_AUD = 'gw1.test-gateway';
export const TEST_CHALLENGE: Bytes<32> = sha256(utf8('test challenge'));
/** Fresh for a day: longer than anything else in a test lasts. */
export const NOTHING_REVOKED: RevocationKnowledge = {
  list: NO_REVOCATIONS,
  freshness: { untilMs: NOW_MS + 86_400_000 },
};
export const TEST_WORKLOAD = {
  image: sha256(utf8('test worker image')),
  config: sha256(utf8('test worker configuration')),
  model: sha256(utf8('test weights')),
};

export interface EvidenceFaults {
  readonly statement?: Partial<StatementFields>;
  /** The statement as it is sent, in place of the encoded one. The quote covers it. */
  readonly statementBytes?: Uint8Array;
  readonly card?: Partial<CardFields>;
  readonly cardBytes?: Uint8Array;
  readonly quote?: QuoteFaults;
  readonly collateral?: CollateralFaults;
  /** What the quote covers, in place of the statement. */
  readonly reportData?: Bytes<64>;
}

export interface TestEvidence {
  readonly evidence: TdxEvidence;
  readonly rootSha256: Bytes<32>;
  readonly statement: StatementFields;
  readonly card: CardFields;
}

export function testCard(overrides: Partial<CardFields> = {}): CardFields {
  return {
    owner: sha256(utf8('test owner key')),
    model: {
      id: 'test/model',
      contextLength: 4096,
      capabilities: ['chat'],
      weights: TEST_WORKLOAD.model,
    },
    limits: { maxPromptTokens: 4096, maxOutputTokens: 1024, maxConcurrent: 4 },
    prices: { asset: 'TON', base: 1000n, prompt: 2n, cached: 1n, completion: 8n, reasoning: 8n },
    payout: null,
    ...overrides,
  };
}

export function testStatement(overrides: Partial<StatementFields> = {}): StatementFields {
  return {
    aud: TEST_AUD,
    iat: NOW_MS / 1000 - 30,
    exp: NOW_MS / 1000 + 570,
    nonce: TEST_CHALLENGE,
    tee: 'tdx',
    keys: {
      hpke: { kem: 'X25519', pk: generateX25519().publicKey },
      sig: { alg: 'Ed25519', pk: generateEd25519().publicKey },
      tls: { spkiSha256: randomBytes(32) },
    },
    workload: TEST_WORKLOAD,
    devices: null,
    ...overrides,
  };
}

export async function buildEvidence(
  pki: TestPki,
  faults: EvidenceFaults = {},
): Promise<TestEvidence> {
  const card = testCard(faults.card);
  const cardBytes = faults.cardBytes ?? encodeCard(card);
  const statement = testStatement({ card: cardDigestOf(cardBytes), ...faults.statement });
  const bytes = faults.statementBytes ?? encodeStatement(statement);
  const reportData = faults.reportData ?? reportDataOf(bytes);
  const built = await buildCase(pki, {
    quote: { ...faults.quote, td: { reportData, ...faults.quote?.td } },
    ...(faults.collateral === undefined ? {} : { collateral: faults.collateral }),
  });
  return {
    evidence: {
      tee: 'tdx',
      statement: bytes,
      quote: built.quote,
      card: cardBytes,
      endorsements: built.collateral,
    },
    rootSha256: sha256(pki.sound.root.der),
    statement,
    card,
  };
}

function sha256Text(digest: Uint8Array): string {
  return `sha256:${toHex(digest)}`;
}

export interface TestRule {
  readonly [name: string]: Json;
}

/** The `cpu` section that the test hierarchy's machine passes, nothing waived but features. */
export const TEST_CPU: TestRule = {
  tee: 'tdx',
  tcb_status: ['up-to-date'],
  tcb_eval_number: { min: 19 },
  tcb_date: { min: '2025-11-12' },
  tdx_module: { identities: ['TDX_01'], min_isvsvn: { TDX_01: 5 }, mrsigner: 'intel' },
  mrseam: { allow: [toHex(tdReport().mrSeam)] },
  attributes: {
    debug: 'forbid',
    sept_ve_disable: 'require',
    migratable: 'forbid',
    perfmon: 'forbid',
    protection_keys: 'forbid',
    key_locker: 'forbid',
    lass: 'forbid',
    unknown_bits: 'forbid',
  },
  xfam: { require: '0x0000000000000003', forbid: '0xfffffffffff92418' },
  service_td: 'forbid',
  fmspc: { allow: ['c0ffee000000'] },
  platforms: { allow: { ppid: ['11'.repeat(16)] } },
};

export const TEST_RULE: TestRule = {
  id: 'test-rule',
  models: ['test/model'],
  images: ['test-image'],
  cpu: TEST_CPU,
  gpu: 'none',
};

export const TEST_TUPLE: TestRule = {
  shape: 'small',
  mrtd: toHex(tdReport().mrTd),
  rtmr0: toHex(tdReport().rtmr[0]),
  rtmr1: toHex(tdReport().rtmr[1]),
  rtmr2: toHex(tdReport().rtmr[2]),
  rtmr3: toHex(tdReport().rtmr[3]),
};

export const TEST_IMAGE: TestRule = {
  name: 'test-image',
  source: { repo: 'example/worker', commit: '0'.repeat(40) },
  expires: '2026-08-01T00:00:00Z',
  workload: {
    image: sha256Text(TEST_WORKLOAD.image),
    config: sha256Text(TEST_WORKLOAD.config),
    engine: 'test',
  },
  tdx: [TEST_TUPLE],
  mrconfigid: toHex(tdReport().mrConfigId),
  mrowner: toHex(tdReport().mrOwner),
  mrownerconfig: toHex(tdReport().mrOwnerConfig),
};

/** As JSON, which is YAML; `overrides` replace whole top-level members. */
export function testPolicyDocument(
  rootSha256: Bytes<32>,
  overrides: Readonly<Record<string, Json>> = {},
): JsonObject {
  return {
    format: 'veilgate.policy/1',
    name: 'test',
    serial: 1,
    issued: '2026-06-01T00:00:00Z',
    expires: '2026-09-01T00:00:00Z',
    contact: 'test@example.org',
    note: 'for tests',
    development: true,
    roots: [{ simulated: sha256Text(rootSha256) }],
    limits: {
      evidence_age: '1h',
      reattest_every: '1h',
      revocation_age: { gateway: '60s', client: '5m' },
      collateral_grace: '0s',
      challenge: 'required',
    },
    rules: [TEST_RULE],
    images: [TEST_IMAGE],
    models: [{ id: 'test/model', weights: sha256Text(TEST_WORKLOAD.model) }],
    advisories: [],
    hosts: [],
    ...overrides,
  };
}

export function compileDocument(document: Json): CompiledPolicy {
  return compilePolicy(utf8(JSON.stringify(document, undefined, 2)), { source: 'test.yaml' });
}

export function testPolicy(
  rootSha256: Bytes<32>,
  overrides: Readonly<Record<string, Json>> = {},
): CompiledPolicy {
  return compileDocument(testPolicyDocument(rootSha256, overrides));
}

/** Of either kind of machine. */
export interface SoundEvidence {
  readonly evidence: EvidenceBundle;
  readonly rootSha256: Bytes<32>;
}

/** Appraises with everything as it should be except for `overrides`. */
export function appraiseTest(
  { evidence, rootSha256 }: SoundEvidence,
  overrides: Partial<AppraiseInput> = {},
): Appraisal {
  return appraise({
    evidence,
    policy: testPolicy(rootSha256),
    nowMs: NOW_MS,
    aud: TEST_AUD,
    challenge: { equals: TEST_CHALLENGE },
    revocations: NOTHING_REVOKED,
    ...overrides,
  });
}

/** Ids of the checks with this outcome. */
export function idsOf(checks: readonly Check[], outcome: Check['outcome']): readonly string[] {
  return checks.filter((check) => check.outcome === outcome).map(({ id }) => id);
}
