/** The smallest change that would admit: proven for each member of a rule, and honest where there is none. @module */

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { appraise, type AppraiseInput } from '../../../attestation/appraise.ts';
import type { EvidenceBundle } from '../../../attestation/evidence.ts';
import { remedyFor, type Remedy } from '../../../attestation/policy/remedy.ts';
import type { RevocationKind } from '../../../attestation/policy/revocations.ts';
import { fixed, fromHex, toHex, type Bytes } from '../../../core/bytes.ts';
import type { Json } from '../../../core/json.ts';
import { CSP_ID, PRODUCTS, createSnpTestPki, type SnpTestPki } from '../../support/snp/pki.ts';
import {
  buildSnpEvidence,
  snpImage,
  TEST_SNP_CPU,
  TEST_SNP_RULE,
  TEST_SNP_TUPLE,
  type TestSnpEvidence,
} from '../../support/snp/worker-evidence.ts';
import { TCB_INFO } from '../../support/tdx/case.ts';
import { DAY_MS, NOW_MS, createTestPki, type TestPki } from '../../support/tdx/pki.ts';
import {
  NOTHING_REVOKED,
  TEST_AUD,
  TEST_CHALLENGE,
  TEST_CPU,
  TEST_IMAGE,
  TEST_RULE,
  TEST_TUPLE,
  buildEvidence,
  testPolicy,
  type TestEvidence,
} from '../../support/worker-evidence.ts';

let pki: TestPki;
let snpPki: SnpTestPki;
let tdx: TestEvidence;
let snp: TestSnpEvidence;

before(async () => {
  pki = await createTestPki();
  snpPki = await createSnpTestPki();
  tdx = await buildEvidence(pki);
  snp = await buildSnpEvidence(snpPki);
});

type Overrides = Readonly<Record<string, Json>>;
interface Built {
  readonly evidence: EvidenceBundle;
  readonly rootSha256: Bytes<32>;
}

function ask(built: Built, overrides: Overrides, more: Partial<AppraiseInput> = {}): AppraiseInput {
  return {
    evidence: built.evidence,
    policy: testPolicy(built.rootSha256, overrides),
    nowMs: NOW_MS,
    aud: TEST_AUD,
    challenge: { equals: TEST_CHALLENGE },
    revocations: NOTHING_REVOKED,
    ...more,
  };
}

/** The edits as `action path`, after it was shown that they admit and that none can be left out. */
function proven(input: AppraiseInput): readonly string[] {
  assert.equal(appraise(input).outcome, 'denied', 'nothing to mend');
  const remedy = remedyFor(input);
  assert.ok(remedy.outcome === 'edits', remedy.outcome);
  const { policy, edits, rule } = remedy;
  const after = appraise({ ...input, policy });
  assert.equal(after.outcome, 'admitted');
  assert.equal(after.verdict.rule, rule);
  return edits.map(({ action, path }) => `${action} ${path.map(String).join('.')}`);
}

function obstacles(remedy: Remedy): readonly string[] {
  assert.ok(remedy.outcome === 'none', remedy.outcome);
  return remedy.obstacles.map(({ check }) => check);
}

const tdxRule = (cpu: Overrides): Overrides => ({
  rules: [{ ...TEST_RULE, cpu: { ...TEST_CPU, ...cpu } }],
});

const SNP_BASE: Overrides = { rules: [TEST_SNP_RULE], images: [snpImage()] };
const snpRule = (cpu: Overrides): Overrides => ({
  ...SNP_BASE,
  rules: [{ ...TEST_SNP_RULE, cpu: { ...TEST_SNP_CPU, ...cpu } }],
});

const OTHER = '5a'.repeat(48);
const PAST = '2026-06-15T11:00:00Z';

const TDX_CASES: readonly (readonly [overrides: Overrides, edits: readonly string[]])[] = [
  [tdxRule({ tcb_status: [] }), ['add rules.0.cpu.tcb_status']],
  [tdxRule({ tcb_eval_number: { min: 20 } }), ['set rules.0.cpu.tcb_eval_number.min']],
  [tdxRule({ tcb_date: { min: '2026-01-01' } }), ['set rules.0.cpu.tcb_date.min']],
  [
    tdxRule({
      tdx_module: { identities: ['TDX_03'], min_isvsvn: { TDX_03: 0 }, mrsigner: 'intel' },
    }),
    ['set rules.0.cpu.tdx_module'],
  ],
  [
    tdxRule({
      tdx_module: { identities: ['TDX_01'], min_isvsvn: { TDX_01: 6 }, mrsigner: 'intel' },
    }),
    ['set rules.0.cpu.tdx_module.min_isvsvn.TDX_01'],
  ],
  [tdxRule({ mrseam: { allow: [] } }), ['add rules.0.cpu.mrseam.allow']],
  [
    tdxRule({ xfam: { require: '0x000000000000000b', forbid: '0xfffffffffffffff0' } }),
    ['set rules.0.cpu.xfam'],
  ],
  [tdxRule({ fmspc: { allow: [] } }), ['add rules.0.cpu.fmspc.allow']],
  [tdxRule({ platforms: { allow: { ppid: [] } } }), ['add rules.0.cpu.platforms.allow.ppid']],
  [tdxRule({ platforms: { registry: 'hosts' } }), ['add hosts']],
  [{ images: [{ ...TEST_IMAGE, tdx: [{ ...TEST_TUPLE, rtmr2: OTHER }] }] }, ['add images.0.tdx']],
  [{ images: [{ ...TEST_IMAGE, mrowner: 'zero' }] }, ['set images.0.mrowner']],
  [{ images: [{ ...TEST_IMAGE, expires: PAST }] }, ['set images.0.expires']],
  [{ rules: [{ ...TEST_RULE, models: [] }] }, ['add rules.0.models']],
  [{ rules: [{ ...TEST_RULE, images: [] }] }, ['add rules.0.images']],
  [{ models: [], rules: [{ ...TEST_RULE, models: [] }] }, ['add models', 'add rules.0.models']],
  [{ images: [], rules: [{ ...TEST_RULE, images: [] }] }, ['add images', 'add rules.0.images']],
  [
    { models: [{ id: 'test/model', weights: `sha256:${'00'.repeat(32)}` }] },
    ['set models.0.weights'],
  ],
  [{ expires: PAST }, ['set expires']],
  [
    { issued: '2024-06-01T00:00:00Z', expires: '2025-05-01T00:00:00Z' },
    ['set issued', 'set expires'],
  ],
];

for (const [overrides, edits] of TDX_CASES) {
  test(`TDX: ${edits.join(', ')} admits`, () => {
    assert.deepEqual(proven(ask(tdx, overrides)), edits);
  });
}

function without(section: Json | undefined, name: string, word: string): JsonMembers {
  return { ...Object(section), [name]: word };
}
type JsonMembers = Readonly<Record<string, Json>>;

const FLOOR = { ...PRODUCTS.Genoa.tcb, source: 'test' };

const SNP_CASES: readonly (readonly [overrides: Overrides, edits: readonly string[]])[] = [
  [snpRule({ products: [] }), ['add rules.0.cpu.products']],
  [snpRule({ signer: { allow: [], csp_ids: [] } }), ['add rules.0.cpu.signer.allow']],
  [snpRule({ vmpl: [1] }), ['add rules.0.cpu.vmpl']],
  [snpRule({ guest_svn: { min: 8 } }), ['set rules.0.cpu.guest_svn.min']],
  [snpRule({ abi: { min: '2.0' } }), ['set rules.0.cpu.abi.min']],
  [
    snpRule({ guest_policy: without(TEST_SNP_CPU['guest_policy'], 'mem_aes_256_xts', 'require') }),
    ['set rules.0.cpu.guest_policy.mem_aes_256_xts'],
  ],
  [
    snpRule({ platform_info: without(TEST_SNP_CPU['platform_info'], 'ecc_en', 'forbid') }),
    ['set rules.0.cpu.platform_info.ecc_en'],
  ],
  [snpRule({ tcb: {} }), ['set rules.0.cpu.tcb.genoa']],
  [
    snpRule({ tcb: { genoa: { ...FLOOR, microcode: 200, snp: 99 } } }),
    ['set rules.0.cpu.tcb.genoa.snp', 'set rules.0.cpu.tcb.genoa.microcode'],
  ],
  [snpRule({ firmware: { min: '1.56.0' } }), ['set rules.0.cpu.firmware.min']],
  [snpRule({ mitigations: { lines: {} } }), ['set rules.0.cpu.mitigations.lines.genoa']],
  [snpRule({ author_keys: { allow: [] } }), ['add rules.0.cpu.author_keys.allow']],
  [snpRule({ platforms: { allow: { chip_id: [] } } }), ['add rules.0.cpu.platforms.allow.chip_id']],
  [snpRule({ platforms: { registry: 'hosts' } }), ['add hosts']],
  [
    { ...SNP_BASE, images: [snpImage([{ ...TEST_SNP_TUPLE, measurement: OTHER }])] },
    ['add images.0.snp'],
  ],
];

for (const [overrides, edits] of SNP_CASES) {
  test(`SEV-SNP: ${edits.join(', ')} admits`, () => {
    assert.deepEqual(proven(ask(snp, overrides)), edits);
  });
}

test('a report of firmware that is not committed, of an older version, is admitted by two edits', async () => {
  const built = await buildSnpEvidence(snpPki, {
    report: {
      version: 3,
      fields: { currentFirmware: { major: 1, minor: 55, build: 41 } },
    },
  });
  const any = { any: true, note: 'not in version 3' };
  assert.deepEqual(proven(ask(built, snpRule({ mitigations: any }))), [
    'set rules.0.cpu.report_version.min',
    'set rules.0.cpu.provisional_firmware',
  ]);
});

test('a cloud is listed by name, and no list of chips admits its machines', async () => {
  const built = await buildSnpEvidence(snpPki, { signer: 'vlek' });
  const any = { any: true, note: 'a cloud names no chip' };
  const cloud = snpRule({ signer: { allow: ['vlek'], csp_ids: [] }, platforms: any });
  const remedy = remedyFor(ask(built, cloud));
  assert.ok(remedy.outcome === 'edits');
  assert.deepEqual(
    remedy.edits.map(({ value }) => value),
    [CSP_ID],
  );
  const chips = snpRule({ signer: { allow: ['vlek'], csp_ids: [CSP_ID] } });
  assert.deepEqual(obstacles(remedyFor(ask(built, chips))), ['cpu.chipId']);
});

async function outOfDate(status: 'OutOfDate' | 'Revoked', ...advisoryIds: string[]) {
  const [best, ...rest] = TCB_INFO.levels;
  assert.ok(best !== undefined);
  const levels = [{ ...best, tcbStatus: status, advisoryIds }, ...rest];
  return await buildEvidence(pki, { collateral: { tcbInfoInput: { levels } } });
}

const EXCEPTION = {
  id: 'INTEL-SA-00001',
  rules: ['test-rule'],
  admits: 'out-of-date',
  reason: 'r',
  owner: 'o',
  expires: '2026-07-01T00:00:00Z',
};

test('each advisory of a machine gets an exception of its own, and what is there is not written twice', async () => {
  const built = await outOfDate('OutOfDate', 'INTEL-SA-00001', 'INTEL-SA-00002');
  assert.deepEqual(proven(ask(built, {})), ['add advisories', 'add advisories']);
  assert.deepEqual(proven(ask(built, { advisories: [EXCEPTION] })), ['add advisories']);
  const ended = { ...EXCEPTION, expires: PAST };
  const other = { ...EXCEPTION, id: 'INTEL-SA-00002', rules: [] };
  assert.deepEqual(proven(ask(built, { advisories: [ended, other] })), [
    'set advisories.0.expires',
    'add advisories.1.rules',
  ]);
});

test('a revoked machine, or one with no advisory to name, is not talked into a policy', async () => {
  for (const built of [
    await outOfDate('Revoked', 'INTEL-SA-00001'),
    await outOfDate('OutOfDate'),
  ]) {
    assert.deepEqual(obstacles(remedyFor(ask(built, {}))), [
      'cpu.tcbStatus',
      'cpu.tcbStatus.current',
    ]);
  }
});

test('an exception that was taken back is not suggested again', async () => {
  const built = await outOfDate('OutOfDate', 'INTEL-SA-00001');
  const revocations = revoked('advisory', 'INTEL-SA-00001');
  assert.deepEqual(obstacles(remedyFor(ask(built, {}, { revocations }))), [
    'cpu.tcbStatus',
    'cpu.tcbStatus.current',
  ]);
});

function revoked(kind: RevocationKind, value: string) {
  const entry = { kind, value, reason: 'stolen', by: 'alice' };
  return {
    list: {
      find: (asked: RevocationKind, named: string) =>
        asked === kind && named === value ? entry : undefined,
    },
    freshness: { untilMs: NOW_MS + DAY_MS },
  };
}

test('what was revoked is not mended, not even a policy whose digest any edit changes', () => {
  const input = ask(tdx, { rules: [{ ...TEST_RULE, models: [] }] });
  for (const [kind, value] of [
    ['cpu', '11'.repeat(16)],
    ['rule', 'test-rule'],
    ['image', 'test-image'],
    ['policy', `sha256:${toHex(input.policy.digest)}`],
  ] as const) {
    const remedy = remedyFor({ ...input, revocations: revoked(kind, value) });
    assert.deepEqual(obstacles(remedy), [`revocation.${kind}`]);
  }
});

test('no edit is suggested for a debug machine, foreign roots, or evidence that is not genuine', async () => {
  const debug = await buildEvidence(pki, {
    quote: { td: { tdAttributes: fixed(fromHex('0100001000000000'), 8) } },
  });
  assert.deepEqual(obstacles(remedyFor(ask(debug, {}))), ['policy.td.debug']);
  const foreign = ask({ ...tdx, rootSha256: fixed(new Uint8Array(32), 32) }, {});
  assert.ok(obstacles(remedyFor(foreign)).includes('pck.root'));
  const forged = await buildEvidence(pki, { quote: { bytes: (quote) => quote.fill(1, 600, 610) } });
  assert.ok(obstacles(remedyFor(ask(forged, {}))).includes('quote.signature'));
});

test('a rule that demands a GPU, and a rule for another kind of machine, are no way out', () => {
  assert.deepEqual(obstacles(remedyFor(ask(tdx, SNP_BASE))), ['cpu.tee']);
  assert.deepEqual(obstacles(remedyFor(ask(tdx, { rules: [] }))), ['policy.rule']);
});

test('of several rules the one with the smallest change is taken, or the one that is named', () => {
  const cpu = { ...TEST_CPU, fmspc: { allow: [] }, mrseam: { allow: [] } };
  const far = { ...TEST_RULE, id: 'far', cpu };
  const near = { ...TEST_RULE, id: 'near', models: [] };
  const input = ask(tdx, { rules: [far, near] });
  assert.deepEqual(proven(input), ['add rules.1.models']);
  const asked = remedyFor(input, 'far');
  assert.ok(asked.outcome === 'edits');
  assert.equal(asked.rule, 'far');
  assert.equal(asked.edits.length, 2);
});

test('what gives something away says what, and a name on a list gives nothing away', () => {
  const lower = remedyFor(ask(tdx, tdxRule({ tcb_date: { min: '2026-01-01' } })));
  assert.ok(lower.outcome === 'edits');
  assert.match(lower.edits[0]?.weakens ?? '', /every machine back to this day/);
  const named = remedyFor(ask(tdx, { rules: [{ ...TEST_RULE, images: [] }] }));
  assert.ok(named.outcome === 'edits');
  assert.equal(named.edits[0]?.weakens, undefined);
});

test('old evidence under a strict age is admitted by a longer age, and a missing challenge by a policy that needs none', () => {
  const limits = {
    evidence_age: '10s',
    reattest_every: '1h',
    revocation_age: { gateway: '60s', client: '5m' },
    collateral_grace: '0s',
    challenge: 'required',
  };
  assert.deepEqual(proven(ask(tdx, { limits })), ['set limits.evidence_age']);
  const challenge = { waived: 'none was given' };
  assert.deepEqual(proven(ask(tdx, {}, { challenge })), ['set limits.challenge']);
});

test('admitted evidence needs nothing', () => {
  assert.deepEqual(remedyFor(ask(tdx, {})), { outcome: 'admitted' });
});
