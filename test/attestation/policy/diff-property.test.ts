/**
 * What a reviewer relies on in a diff: a change that is called narrower or neutral admits no evidence that was denied before.
 * Every single edit of a policy that loads is tried, on its own and against each other, on evidence of both kinds of machine
 * that lies on either side of what the edits move.
 * @module
 */

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { appraise } from '../../../attestation/appraise.ts';
import type { EvidenceBundle } from '../../../attestation/evidence.ts';
import type { CompiledPolicy } from '../../../attestation/policy/compile.ts';
import { lintPolicy } from '../../../attestation/policy/lint.ts';
import { diffPolicies, widthOf } from '../../../attestation/policy/diff.ts';
import { SignatureMemo } from '../../../attestation/pki/signature.ts';
import { SnpCache } from '../../../attestation/snp/cache.ts';
import { TdxCache } from '../../../attestation/tdx/cache.ts';
import { fixed, toHex, type Bytes } from '../../../core/bytes.ts';
import { VeilError } from '../../../core/errors.ts';
import type { Json, JsonObject } from '../../../core/json.ts';
import { flipBit, seededNumbers } from '../../support/changes.ts';
import { createSnpTestPki, PRODUCTS } from '../../support/snp/pki.ts';
import {
  buildSnpEvidence,
  TEST_SNP_CPU,
  TEST_SNP_RULE,
  TEST_SNP_TUPLE,
} from '../../support/snp/worker-evidence.ts';
import { TCB_INFO, tdReport } from '../../support/tdx/case.ts';
import { createTestPki, NOW_MS } from '../../support/tdx/pki.ts';
import {
  buildEvidence,
  compileDocument,
  NOTHING_REVOKED,
  TEST_AUD,
  TEST_CHALLENGE,
  TEST_IMAGE,
  TEST_RULE,
  testPolicyDocument,
} from '../../support/worker-evidence.ts';

const PAIRS = 4000;
const caches = { tdx: new TdxCache(), snp: new SnpCache(), signatures: new SignatureMemo() };

const ADVISORY: JsonObject = {
  id: 'INTEL-SA-00001',
  rules: ['test-rule'],
  admits: 'sw-hardening-needed',
  reason: 'mitigated in the guest',
  owner: 'alice',
  expires: '2026-07-01T00:00:00Z',
};
const HOST: JsonObject = {
  host: 'rack-1',
  cpu: { ppid: '11'.repeat(16) },
  gpus: [],
  switches: [],
  location: 'fra1',
  seen: '2026-06-01',
  by: ['alice', 'bob'],
  expires: '2026-07-01T00:00:00Z',
};
const ANY: JsonObject = { any: true, note: 'for the test' };

interface Question {
  readonly evidence: EvidenceBundle;
  readonly nowMs: number;
  readonly challenge: { readonly equals: Bytes<32> } | { readonly waived: string };
}

interface Version {
  readonly policy: CompiledPolicy;
  readonly document: JsonObject;
  readonly admitted: readonly boolean[];
}

let versions: readonly Version[];
let edits = 0;

before(async () => {
  const pki = await createTestPki();
  const snpPki = await createSnpTestPki();
  const [best, ...rest] = TCB_INFO.levels;
  assert.ok(best !== undefined);
  const level = {
    ...best,
    tcbStatus: 'SWHardeningNeeded',
    advisoryIds: ['INTEL-SA-00001'],
  } as const;
  const perfmon = fixed(flipBit(tdReport().tdAttributes, 7, 7), 8);
  const low = { ...PRODUCTS.Genoa.tcb, microcode: PRODUCTS.Genoa.tcb.microcode - 1 };
  const built = [
    await buildEvidence(pki),
    await buildEvidence(pki, { collateral: { tcbInfoInput: { levels: [level, ...rest] } } }),
    await buildEvidence(pki, { quote: { td: { tdAttributes: perfmon } } }),
    await buildEvidence(pki, {
      quote: {
        td: {
          rtmr: [tdReport().rtmr[1], tdReport().rtmr[1], tdReport().rtmr[2], tdReport().rtmr[3]],
        },
      },
    }),
    await buildEvidence(pki, { statement: { iat: NOW_MS / 1000 - 3000 } }),
  ];
  const snp = [
    await buildSnpEvidence(snpPki),
    await buildSnpEvidence(snpPki, { report: { fields: { vmpl: 1 } } }),
    await buildSnpEvidence(snpPki, { report: { fields: { launchTcb: low } } }),
    await buildSnpEvidence(snpPki, { report: { fields: { guestSvn: 1 } } }),
  ];
  const [sound] = built;
  const [soundSnp] = snp;
  assert.ok(sound !== undefined && soundSnp !== undefined);
  const equals = { equals: TEST_CHALLENGE };
  const questions: readonly Question[] = [
    ...[...built, ...snp].map(({ evidence }) => ({ evidence, nowMs: NOW_MS, challenge: equals })),
    { evidence: sound.evidence, nowMs: NOW_MS, challenge: { waived: 'none was set' } },
    { evidence: soundSnp.evidence, nowMs: NOW_MS + 9 * 60_000, challenge: equals },
  ];
  const roots = [sound.rootSha256, soundSnp.rootSha256].map((root) => ({
    simulated: `sha256:${toHex(root)}`,
  }));
  const whole: JsonObject = {
    ...testPolicyDocument(sound.rootSha256),
    roots,
    rules: [TEST_RULE, TEST_SNP_RULE],
    images: [{ ...TEST_IMAGE, snp: [TEST_SNP_TUPLE] }],
    advisories: [ADVISORY],
    hosts: [HOST],
  };
  const documents = [whole, ...editsOf(whole)];
  edits = documents.length - 1;
  const loaded = documents.flatMap((document) => {
    const policy = compiled(document);
    return policy === undefined ? [] : [{ document, policy }];
  });
  versions = loaded.map(({ document, policy }) => ({
    document,
    policy,
    admitted: questions.map((question) => isAdmitted(policy, question)),
  }));
});

function isAdmitted(policy: CompiledPolicy, { evidence, nowMs, challenge }: Question): boolean {
  const input = {
    evidence,
    policy,
    nowMs,
    challenge,
    aud: TEST_AUD,
    revocations: NOTHING_REVOKED,
    caches,
  };
  return appraise(input).outcome === 'admitted';
}

function compiled(document: JsonObject): CompiledPolicy | undefined {
  try {
    return compileDocument(document);
  } catch (error) {
    assert.ok(error instanceof VeilError, String(error));
    return undefined;
  }
}

/** Each value inside, replaced by each of the values that might stand there. */
function* editsOf(value: Json, rebuild = asDocument): Generator<JsonObject> {
  for (const other of othersOf(value)) yield* rebuild(other);
  if (typeof value !== 'object' || value === null) return;
  for (const [name, member] of Object.entries(value)) {
    const inner = (edited: Json): readonly JsonObject[] => rebuild(replaced(value, name, edited));
    yield* editsOf(member, inner);
    if (!Array.isArray(value)) for (const other of namedOthers(name)) yield* inner(other);
  }
}

function asDocument(value: Json): readonly JsonObject[] {
  return isObject(value) ? [value] : [];
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !isList(value);
}

function replaced(value: Json, name: string, edited: Json): Json {
  if (isList(value)) return value.map((each, index) => (String(index) === name ? edited : each));
  return isObject(value) ? { ...value, [name]: edited } : edited;
}

/** By what the value looks like. */
function othersOf(value: Json): readonly Json[] {
  if (typeof value === 'number') return [value - 1, value + 1, 0];
  if (Array.isArray(value))
    return [
      ...value.map((_, at) => value.filter((__, index) => index !== at)),
      [...value].reverse(),
    ];
  if (typeof value !== 'string') return typeof value === 'object' && value !== null ? [ANY] : [];
  if (/^(?:forbid|require|any)$/.test(value)) return ['forbid', 'require', 'any'];
  if (/^\d{4}-\d{2}-\d{2}T/.test(value))
    return [
      '2026-06-01T00:00:01Z',
      '2026-06-15T11:59:00Z',
      '2026-06-30T00:00:00Z',
      '2026-08-31T00:00:00Z',
      '2027-01-01T00:00:00Z',
    ];
  if (/^\d{4}-\d{2}-\d{2}$/.test(value)) return ['2024-01-01', '2026-01-01'];
  if (/^\d+[smhd]$/.test(value)) return ['10s', '20m', '1d'];
  if (value.startsWith('0x'))
    return ['0x0000000000000000', '0x0000000000000001', '0xffffffffffffffff'];
  if (/^\d+\.\d+(?:\.\d+)?$/.test(value)) return ['1.54', '1.56', '1.54.1', '1.99.1'];
  if (/^(?:sha256:)?[0-9a-f]{12,}$/.test(value))
    return [value.replace(/[0-9a-f]$/, (last) => (last === '0' ? '1' : '0'))];
  return ['sw-hardening-needed', 'out-of-date', 'genoa', 'gateway', 'another-name'].filter(
    (other) => other !== value,
  );
}

/** By the member's name. */
function namedOthers(name: string): readonly Json[] {
  const listed: Readonly<Record<string, readonly Json[]>> = {
    identities: [['TDX_01', 'TDX_03']],
    tdx_module: [
      { identities: ['TDX_01', 'TDX_03'], min_isvsvn: { TDX_01: 5, TDX_03: 1 }, mrsigner: 'intel' },
      { identities: ['TDX_03'], min_isvsvn: { TDX_03: 1 }, mrsigner: 'intel' },
    ],
    platforms: [
      { registry: 'hosts' },
      { allow: { ppid: ['22'.repeat(16)] } },
      { allow: { ppid: ['11'.repeat(16), '22'.repeat(16)] } },
    ],
    products: [['genoa', 'turin'], ['turin']],
    vmpl: [[0, 1], [1]],
    allow: [
      ['vcek', 'vlek'],
      ['c0ffee000000', 'c0ffee000001'],
    ],
    csp_ids: [['CN=example']],
    tcb: [
      {},
      {
        genoa: { ...PRODUCTS.Genoa.tcb, source: 'x' },
        turin: { fmc: 1, bootloader: 1, tee: 1, snp: 4, microcode: 81, source: 'x' },
      },
    ],
    lines: [{}],
    advisories: [
      [],
      [ADVISORY, { ...ADVISORY, expires: '2026-08-01T00:00:00Z' }],
      [{ ...ADVISORY, rules: ['test-rule', 'test-snp-rule'] }],
    ],
    hosts: [
      [HOST, { ...HOST, host: 'rack-2', cpu: { ppid: '22'.repeat(16) } }],
      [{ ...HOST, host: 'rack-2' }],
    ],
    rules: [
      [TEST_SNP_RULE, TEST_RULE],
      [
        TEST_RULE,
        TEST_SNP_RULE,
        { ...TEST_SNP_RULE, id: 'wide', cpu: { ...TEST_SNP_CPU, vmpl: [1], guest_svn: ANY } },
      ],
    ],
    tdx: [[]],
    snp: [
      [],
      [TEST_SNP_TUPLE, { ...TEST_SNP_TUPLE, shape: 'large', measurement: 'ab'.repeat(48) }],
    ],
    tcb_status: [[]],
    revocation_age: [{ gateway: '30s', client: '10m' }],
    gpu: ['none'],
  };
  return listed[name] ?? [];
}

function assertHonest(was: Version, now: Version): void {
  const changes = diffPolicies(was.policy, now.policy);
  if (changes.some((change) => widthOf(change) === 'widens')) return;
  for (const [index, admitted] of now.admitted.entries()) {
    if (!admitted || was.admitted[index] === true) continue;
    assert.fail(`evidence ${index} is admitted now: ${JSON.stringify(changes, undefined, 1)}`);
  }
}

test('the edits are many, move decisions both ways, and the policy as it was admits some', () => {
  const [base, ...edited] = versions;
  assert.ok(base !== undefined);
  assert.ok(edits > 400, String(edits));
  assert.ok(edited.length > 250, String(edited.length));
  assert.ok(base.admitted.includes(true) && base.admitted.includes(false));
  const moves = edited.flatMap(({ admitted }) =>
    admitted.map((is, index) => Number(is) - Number(base.admitted[index])),
  );
  assert.ok(moves.filter((move) => move < 0).length > 100);
  assert.ok(moves.filter((move) => move > 0).length >= 10);
});

test('a single edit that is called narrower or neutral admits nothing that was denied, in either direction', () => {
  const [base, ...edited] = versions;
  assert.ok(base !== undefined);
  for (const version of edited) {
    assertHonest(base, version);
    assertHonest(version, base);
  }
});

test('the same holds between any two of them', () => {
  const next = seededNumbers('policy diff pairs');
  for (let pair = 0; pair < PAIRS; pair++) {
    const [was, now] = [versions[next(versions.length)], versions[next(versions.length)]];
    if (was !== undefined && now !== undefined) assertHonest(was, now);
  }
});

test('no edit that changes a decision goes unsaid, and every edit of content is said', () => {
  const [base, ...edited] = versions;
  assert.ok(base !== undefined);
  const silent = edited.filter(({ policy }) => diffPolicies(base.policy, policy).length === 0);
  for (const { document, admitted } of silent) {
    assert.deepEqual(admitted, base.admitted);
    assert.equal(unordered(document), unordered(base.document), 'an edit of content is not said');
  }
  assert.ok(silent.length > 0, 'order alone was among the edits');
});

test('lint has an answer about every one of them', () => {
  for (const { policy } of versions) {
    for (const nowMs of [NOW_MS, 0, Number.MAX_SAFE_INTEGER / 2]) {
      for (const { at } of lintPolicy(policy, nowMs)) assert.match(at, /^test\.yaml:\d+$/);
    }
  }
});

/** Order of lists and repetition taken away; an entry's place is no content. */
function unordered(value: Json): string {
  if (Array.isArray(value)) {
    const entries = value.map(unordered);
    return `[${[...new Set(entries)].sort().join()}]`;
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${name}:${unordered(member)}`).join()}}`;
}
