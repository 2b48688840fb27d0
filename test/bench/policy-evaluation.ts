/**
 * What one judgement under a policy of many images costs: `evaluatePolicy` alone on a genuine finding, and `appraise` with
 * everything known, beside one P-256 verification of the same run. Spec: gpu-and-policy §5.3.
 * @module
 */

import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { p256PublicKey, randomBytes, sha256, verifyP256 } from '#primitives';
import { appraise, type AppraiseInput } from '../../attestation/appraise.ts';
import { parseCard } from '../../attestation/card.ts';
import type { EvidenceBundle } from '../../attestation/evidence.ts';
import { compilePolicyFiles, type CompiledPolicy } from '../../attestation/policy/compile.ts';
import { evaluatePolicy } from '../../attestation/policy/evaluate.ts';
import type { PolicyInput } from '../../attestation/policy/subject.ts';
import { parseStatement } from '../../attestation/statement.ts';
import { newCaches, teeOf } from '../../attestation/tees.ts';
import { concat, fixed, fromBase64Url, toHex, utf8, type Bytes } from '../../core/bytes.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import { createSnpTestPki } from '../support/snp/pki.ts';
import { buildSnpEvidence, TEST_SNP_RULE, TEST_SNP_TUPLE } from '../support/snp/worker-evidence.ts';
import { createTestPki, NOW_MS } from '../support/tdx/pki.ts';
import {
  buildEvidence,
  NOTHING_REVOKED,
  TEST_AUD,
  TEST_CHALLENGE,
  TEST_IMAGE,
  TEST_RULE,
  TEST_TUPLE,
  testPolicyDocument,
  type TestRule,
} from '../support/worker-evidence.ts';
import { compare, type Timing } from './measure.ts';

const IMAGES = [1, 10, 100, 256] as const;
const TUPLES = 4;
const ITERATIONS = 400;
const TARGET = { images: 100, evaluationUs: 100 } as const;

/** `last`: the last tuple of the last image is the worker's. `none`: no image is, so everything is looked at. */
const MATCHES = ['last', 'none'] as const;
type Match = (typeof MATCHES)[number];

export interface EvaluationRow {
  readonly tee: 'tdx' | 'snp';
  readonly images: number;
  readonly match: Match;
  readonly evaluation: Timing;
  readonly appraisal: Timing;
  /** Of one P-256 verification, in turns with the appraisal. */
  readonly p256MedianUs: number;
}

interface Machine {
  readonly tee: 'tdx' | 'snp';
  readonly evidence: EvidenceBundle;
  readonly rootSha256: Bytes<32>;
}

export async function measureEvaluation(): Promise<readonly EvaluationRow[]> {
  const tdx = await buildEvidence(await createTestPki());
  const snp = await buildSnpEvidence(await createSnpTestPki());
  const machines: readonly Machine[] = [
    { tee: 'tdx', ...tdx },
    { tee: 'snp', ...snp },
  ];
  const reference = rawVerification();
  return machines.flatMap((machine) =>
    IMAGES.flatMap((images) => MATCHES.map((match) => rowOf(machine, images, match, reference))),
  );
}

function rowOf(
  machine: Machine,
  images: number,
  match: Match,
  reference: () => void,
): EvaluationRow {
  const policy = policyOf(machine, images, match);
  const input = appraiseInput(machine, policy);
  const { outcome, verdict } = appraise(input);
  assert.equal(outcome, match === 'last' ? 'admitted' : 'denied', 'as the row says');
  assert.equal(verdict.image, match === 'last' ? 'test-image' : undefined);
  const judged = policyInput(machine, input);
  const evaluation = compare(() => void evaluatePolicy(judged), reference, {
    iterations: ITERATIONS,
  });
  const appraisal = compare(() => void appraise(input), reference, { iterations: ITERATIONS });
  return {
    tee: machine.tee,
    images,
    match,
    evaluation: evaluation.subject,
    appraisal: appraisal.subject,
    p256MedianUs: appraisal.reference.medianUs,
  };
}

function appraiseInput({ evidence }: Machine, policy: CompiledPolicy): AppraiseInput {
  return {
    evidence,
    policy,
    nowMs: NOW_MS,
    aud: TEST_AUD,
    challenge: { equals: TEST_CHALLENGE },
    revocations: NOTHING_REVOKED,
    caches: newCaches(),
  };
}

function policyInput(
  { evidence, rootSha256 }: Machine,
  { policy, nowMs, revocations, caches = {} }: AppraiseInput,
): PolicyInput {
  const tee = teeOf(evidence.tee);
  const finding = tee.verify({ evidence, nowMs, simulatedRoots: [rootSha256], caches });
  const { statement: statementBytes, card } = evidence;
  const statement = parseStatement(statementBytes);
  const subject = { statement, statementBytes, card: parseCard(card) };
  return { policy, tee, finding, subject, revocations, nowMs };
}

/** A rule for each kind of machine, and both list every image. */
function policyOf({ rootSha256 }: Machine, count: number, match: Match): CompiledPolicy {
  const images = Array.from({ length: count }, (_, index) =>
    index === count - 1 && match === 'last' ? matchingImage() : otherImage(index),
  );
  const names = images.map(({ name }) => name ?? '');
  const rules = [TEST_RULE, TEST_SNP_RULE].map((rule) => ({ ...rule, images: names }));
  const document = testPolicyDocument(rootSha256, { rules, images: [] });
  // One file each, as a team keeps them; in one file 256 images would be too much text.
  return compilePolicyFiles([
    { name: 'policy.yaml', bytes: jsonBytes(document) },
    ...images.map((image, index) => ({
      name: `images/${String(index).padStart(3, '0')}.yaml`,
      bytes: jsonBytes(image),
    })),
  ]);
}

function jsonBytes(value: JsonObject): Uint8Array {
  return utf8(JSON.stringify(value, undefined, 2));
}

function matchingImage(): JsonObject {
  return imageWith('last', TEST_IMAGE, { tdx: TEST_TUPLE, snp: TEST_SNP_TUPLE });
}

function otherImage(index: number): JsonObject {
  const digest = (part: string) => `sha256:${toHex(sha256(utf8(`${part} ${index}`)))}`;
  const workload = { image: digest('image'), config: digest('config'), engine: 'test' };
  return imageWith(String(index), { ...TEST_IMAGE, name: `other-${index}`, workload });
}

/** Tuples of our own making, the machine's last. */
function imageWith(
  seed: string,
  image: TestRule,
  last?: { readonly tdx: TestRule; readonly snp: TestRule },
): JsonObject {
  const others = Array.from({ length: TUPLES - (last === undefined ? 0 : 1) }, (_, index) => ({
    tdx: otherTuple(TEST_TUPLE, 'mrtd', `${seed} ${index}`),
    snp: otherTuple(TEST_SNP_TUPLE, 'measurement', `${seed} ${index}`),
  }));
  const tuples = last === undefined ? others : [...others, last];
  return { ...image, tdx: tuples.map(({ tdx }) => tdx), snp: tuples.map(({ snp }) => snp) };
}

function otherTuple(tuple: TestRule, member: string, seed: string): TestRule {
  const digest = toHex(sha256(utf8(`first ${seed}`))) + toHex(sha256(utf8(seed)).subarray(0, 16));
  const value: Json = digest;
  return { ...tuple, shape: `shape-${toHex(sha256(utf8(seed)).subarray(0, 4))}`, [member]: value };
}

function rawVerification(): () => void {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const key = p256PublicKey(fixed(concat(fromBase64Url(x), fromBase64Url(y)), 64));
  assert(key !== undefined, 'a generated key is a point');
  const data = randomBytes(632);
  const raw = sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  const signature = fixed(Uint8Array.from(raw), 64);
  return () => void verifyP256(key, signature, data);
}

export function evaluationLines(rows: readonly EvaluationRow[]): readonly string[] {
  const us = (value: number) => value.toFixed(0).padStart(5);
  return [
    `one judgement, ${TUPLES} tuples an image, ${ITERATIONS} runs each; P-256: one verification in the same run`,
    `${''.padEnd(22)}  evaluatePolicy p50/p99 µs   appraise p50/p99 µs   P-256 µs`,
    ...rows.map(({ tee, images, match, evaluation, appraisal, p256MedianUs }) =>
      [
        `${tee}, ${images} images, ${match}`.padEnd(22),
        `${us(evaluation.medianUs)} / ${us(evaluation.p99Us)}`.padEnd(25),
        `${us(appraisal.medianUs)} / ${us(appraisal.p99Us)}`.padEnd(20),
        `${us(p256MedianUs)}${missed({ images, evaluation })}`,
      ].join('  '),
    ),
  ];
}

function missed({ images, evaluation }: Pick<EvaluationRow, 'images' | 'evaluation'>): string {
  if (images !== TARGET.images) return '';
  const verdict = evaluation.medianUs <= TARGET.evaluationUs ? '' : ', missed';
  return `   evaluation: target ${TARGET.evaluationUs} µs${verdict}`;
}
