/** Rules against facts: each member of a rule failing alone, exceptions, empty lists, expiry, the nearest rule. @module */

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { Appraisal } from '../../../attestation/appraise.ts';
import { parseCard } from '../../../attestation/card.ts';
import { evaluatePolicy } from '../../../attestation/policy/evaluate.ts';
import { parseStatement } from '../../../attestation/statement.ts';
import { teeOf } from '../../../attestation/tees.ts';
import type { Check } from '../../../attestation/verdict.ts';
import { fixed, fromHex } from '../../../core/bytes.ts';
import type { Json } from '../../../core/json.ts';
import { TCB_INFO, filled, svn, tdReport, type CollateralFaults } from '../../support/tdx/case.ts';
import { DAY_MS, NOW_MS, createTestPki, type TestPki } from '../../support/tdx/pki.ts';
import {
  TEST_CPU,
  TEST_IMAGE,
  TEST_RULE,
  TEST_TUPLE,
  appraiseTest,
  buildEvidence,
  idsOf,
  compileDocument,
  testPolicy,
  testPolicyDocument,
  type EvidenceFaults,
  type TestEvidence,
  NOTHING_REVOKED,
} from '../../support/worker-evidence.ts';

let pki: TestPki;
let sound: TestEvidence;

before(async () => {
  pki = await createTestPki();
  sound = await buildEvidence(pki);
});

type Overrides = Readonly<Record<string, Json>>;

function judge(overrides: Overrides, built: TestEvidence = sound): Appraisal {
  return appraiseTest(built, { policy: testPolicy(built.rootSha256, overrides) });
}

function ruleWith(cpu: Overrides): Overrides {
  return { rules: [{ ...TEST_RULE, cpu: { ...TEST_CPU, ...cpu } }] };
}

function misses(checks: readonly Check[]): readonly string[] {
  return [...idsOf(checks, 'fail'), ...idsOf(checks, 'skipped')];
}

const ATTRIBUTES: Overrides = {
  debug: 'forbid',
  sept_ve_disable: 'require',
  migratable: 'forbid',
  perfmon: 'forbid',
  protection_keys: 'forbid',
  key_locker: 'forbid',
  lass: 'forbid',
  unknown_bits: 'forbid',
};

/** A stricter line of the rule fails alone on evidence that is sound otherwise. */
const STRICTER: readonly (readonly [id: string, cpu: Overrides])[] = [
  ['cpu.tcbEvalNumber', { tcb_eval_number: { min: 20 } }],
  ['cpu.tcbDate', { tcb_date: { min: '2025-11-13' } }],
  [
    'cpu.module.isvsvn',
    { tdx_module: { identities: ['TDX_01'], min_isvsvn: { TDX_01: 6 }, mrsigner: 'intel' } },
  ],
  ['cpu.mrseam', { mrseam: { allow: ['00'.repeat(48)] } }],
  ['cpu.xfam', { xfam: { require: '0x0000000000000003', forbid: '0xfffffffffffffffc' } }],
  ['cpu.xfam', { xfam: { require: '0x000000000000000b', forbid: '0x0000000000000000' } }],
  ['cpu.fmspc', { fmspc: { allow: ['00806f050000'] } }],
  ['cpu.platforms', { platforms: { allow: { ppid: ['22'.repeat(16)] } } }],
];

for (const [id, cpu] of STRICTER) {
  test(`${JSON.stringify(cpu)} refuses by ${id} alone`, () => {
    const { outcome, verdict } = judge(ruleWith(cpu));
    assert.equal(outcome, 'denied');
    assert.deepEqual(misses(verdict.checks), [id]);
  });
}

test('a module that the rule does not list fails alone, its version skipped', () => {
  const tdx_module = { identities: ['TDX_03'], min_isvsvn: { TDX_03: 0 }, mrsigner: 'intel' };
  const { verdict } = judge(ruleWith({ tdx_module }));
  assert.deepEqual(misses(verdict.checks), ['cpu.module.identity', 'cpu.module.isvsvn']);
});

test('the module running now counts as much as the one at launch', async () => {
  const built = await buildEvidence(pki, {
    quote: { version: 5, body: 3, td: { teeTcbSvn: svn(7, 1, 4) } },
  });
  const tdx_module = { identities: ['TDX_01'], min_isvsvn: { TDX_01: 6 }, mrsigner: 'intel' };
  assert.deepEqual(misses(judge(ruleWith({ tdx_module }), built).verdict.checks), [
    'cpu.module.isvsvn',
  ]);
});

/** The service TDs that an extended report names beside MRSERVICETD. */
const SERVICE_TDS = {
  initialServiceTdHash: filled(48, 7),
  initialServiceTdAttributes: filled(8, 1),
  currentServiceTdHash: filled(48, 7),
  currentServiceTdAttributes: filled(8, 1),
};

for (const [member, value] of Object.entries(SERVICE_TDS)) {
  test(`${member} in an extended report fails cpu.serviceTd alone`, async () => {
    const { extended } = tdReport(4);
    assert.ok(extended !== undefined);
    const quote = { version: 5, body: 4 } as const;
    assert.equal(judge({}, await buildEvidence(pki, { quote })).outcome, 'admitted');
    const built = await buildEvidence(pki, {
      quote: { ...quote, td: { extended: { ...extended, [member]: value } } },
    });
    assert.deepEqual(misses(judge({}, built).verdict.checks), ['cpu.serviceTd']);
  });
}

/** SEPT_VE_DISABLE and one feature bit. */
const FEATURES: readonly (readonly [member: string, id: string, attributes: string])[] = [
  ['perfmon', 'cpu.attributes.perfmon', '0000001000000080'],
  ['protection_keys', 'cpu.attributes.protectionKeys', '0000005000000000'],
  ['key_locker', 'cpu.attributes.keyLocker', '0000009000000000'],
  ['lass', 'cpu.attributes.lass', '0000001800000000'],
];

for (const [member, id, attributes] of FEATURES) {
  test(`${member} fails ${id} alone, and is waived where the rule says any`, async () => {
    const built = await buildEvidence(pki, {
      quote: { td: { tdAttributes: fixed(fromHex(attributes), 8) } },
    });
    assert.deepEqual(misses(judge({}, built).verdict.checks), [id]);
    const any = ruleWith({ attributes: { ...ATTRIBUTES, [member]: 'any' } });
    const { outcome, verdict } = judge(any, built);
    assert.equal(outcome, 'admitted');
    assert.ok(idsOf(verdict.checks, 'waived').includes(id));
  });
}

const ANY = { any: true, note: 'reviewed' };

for (const [member, id] of [
  ['tcb_eval_number', 'cpu.tcbEvalNumber'],
  ['tcb_date', 'cpu.tcbDate'],
  ['mrseam', 'cpu.mrseam'],
  ['fmspc', 'cpu.fmspc'],
  ['platforms', 'cpu.platforms'],
] as const) {
  test(`${member}: any shows as waived, with its note and its line`, () => {
    const { outcome, verdict } = judge(ruleWith({ [member]: ANY }));
    assert.equal(outcome, 'admitted');
    const check = verdict.checks.find((each) => each.id === id);
    assert.ok(check?.outcome === 'waived');
    assert.equal(check.note, 'reviewed');
    assert.match(check.by, /^test\.yaml:\d+$/);
  });
}

test('a failed check names the line that wanted something else', () => {
  const { verdict } = judge(ruleWith({ fmspc: { allow: ['00806f050000'] } }));
  const check = verdict.checks.find(({ id }) => id === 'cpu.fmspc');
  assert.ok(check?.outcome === 'fail');
  assert.equal(check.want, '00806f050000');
  assert.match(check.at ?? '', /^test\.yaml:\d+$/);
  assert.equal(check.got, 'c0ffee000000');
});

// Measurements: whole tuples.

const REGISTERS = ['mrtd', 'rtmr0', 'rtmr1', 'rtmr2', 'rtmr3'] as const;
const CONFIG_REGISTERS = ['mrconfigid', 'mrowner', 'mrownerconfig'] as const;
const OTHER_REGISTER = 'ee'.repeat(48);

function tuple(overrides: Overrides = {}): Json {
  return { ...TEST_TUPLE, ...overrides };
}

for (const register of REGISTERS) {
  test(`another ${register} in the only tuple refuses by cpu.measurements alone`, () => {
    const images = [{ ...TEST_IMAGE, tdx: [tuple({ [register]: OTHER_REGISTER })] }];
    const { verdict } = judge({ images });
    assert.deepEqual(misses(verdict.checks), ['cpu.measurements']);
    const check = verdict.checks.find(({ id }) => id === 'cpu.measurements');
    assert.ok(check?.outcome === 'fail');
    assert.ok(check.want.includes(`${register} ${OTHER_REGISTER}`), check.want);
  });
}

for (const register of CONFIG_REGISTERS) {
  test(`another ${register} of the image refuses by cpu.measurements alone`, () => {
    const { verdict } = judge({ images: [{ ...TEST_IMAGE, [register]: 'zero' }] });
    assert.deepEqual(misses(verdict.checks), ['cpu.measurements']);
  });
}

test('registers of two tuples never combine', () => {
  const halves = [
    tuple({ shape: 'a', rtmr0: OTHER_REGISTER }),
    tuple({ shape: 'b', rtmr1: OTHER_REGISTER }),
  ];
  assert.deepEqual(misses(judge({ images: [{ ...TEST_IMAGE, tdx: halves }] }).verdict.checks), [
    'cpu.measurements',
  ]);
});

test('the tuple that matches names the shape', () => {
  const tdx = [tuple({ shape: 'large', rtmr0: OTHER_REGISTER }), tuple({ shape: 'small' })];
  const { outcome, verdict } = judge({ images: [{ ...TEST_IMAGE, tdx }] });
  assert.equal(outcome, 'admitted');
  assert.equal(verdict.shape, 'small');
});

// Empty lists admit nobody.

const EMPTY: readonly (readonly [what: string, overrides: Overrides, id: string])[] = [
  ['rules', { rules: [] }, 'policy.rule'],
  ['models of a rule', { rules: [{ ...TEST_RULE, models: [] }] }, 'workload.model'],
  ['images of a rule', { rules: [{ ...TEST_RULE, images: [] }] }, 'workload.image'],
  ['tuples of an image', { images: [{ ...TEST_IMAGE, tdx: [] }] }, 'cpu.measurements'],
  ['accepted TCB statuses', ruleWith({ tcb_status: [] }), 'cpu.tcbStatus'],
  [
    'module identities',
    ruleWith({ tdx_module: { identities: [], min_isvsvn: {}, mrsigner: 'intel' } }),
    'cpu.module.identity',
  ],
  ['TDX modules', ruleWith({ mrseam: { allow: [] } }), 'cpu.mrseam'],
  ['platform kinds', ruleWith({ fmspc: { allow: [] } }), 'cpu.fmspc'],
  ['platforms', ruleWith({ platforms: { allow: { ppid: [] } } }), 'cpu.platforms'],
];

for (const [what, overrides, id] of EMPTY) {
  test(`an empty list of ${what} admits nobody`, () => {
    const { outcome, verdict } = judge(overrides);
    assert.equal(outcome, 'denied');
    assert.ok(idsOf(verdict.checks, 'fail').includes(id));
    const check = verdict.checks.find((each) => each.id === id);
    assert.ok(check?.outcome === 'fail');
    assert.match(`${check.want} ${check.got}`, /the list is empty/);
  });
}

test('a policy with nothing in it but its frame admits nobody', () => {
  const { outcome, verdict } = judge({ rules: [], images: [], models: [] });
  assert.equal(outcome, 'denied');
  assert.equal(verdict.rule, undefined);
  assert.ok(idsOf(verdict.checks, 'skipped').includes('cpu.measurements'));
});

// Expiry.

const PAST = '2026-06-15T11:59:59Z';

test('an expired policy denies, to the second', () => {
  assert.deepEqual(misses(judge({ expires: PAST }).verdict.checks), ['policy.expires']);
  const atNow = judge({ expires: '2026-06-15T12:00:00Z' });
  assert.deepEqual(misses(atNow.verdict.checks), ['policy.expires']);
  assert.equal(judge({ expires: '2026-06-15T12:00:01Z' }).outcome, 'admitted');
});

test('a clock behind the policy’s issue denies', () => {
  const { verdict } = judge({ issued: '2026-06-15T12:01:01Z' });
  assert.deepEqual(misses(verdict.checks), ['policy.issued']);
});

test('an expired image denies', () => {
  const { verdict } = judge({ images: [{ ...TEST_IMAGE, expires: PAST }] });
  assert.deepEqual(misses(verdict.checks), ['workload.imageExpires']);
});

test('evidence older than the policy allows is refused, although its statement has not ended', () => {
  const limits = {
    evidence_age: '30s',
    reattest_every: '1h',
    revocation_age: { gateway: '60s', client: '5m' },
    collateral_grace: '0s',
    challenge: 'required',
  };
  assert.deepEqual(misses(judge({ limits }).verdict.checks), ['policy.evidenceAge']);
});

test('collateral is not used past its nextUpdate', async () => {
  const built = await buildEvidence(pki, {
    collateral: { tcbInfoInput: { issueMs: NOW_MS - DAY_MS, nextUpdateMs: NOW_MS - 1000 } },
  });
  assert.deepEqual(idsOf(judge({}, built).verdict.checks, 'fail'), ['tcbInfo.freshness']);
});

// Machines that are not fully patched.

/** The machine's own level needs software hardening and carries an advisory. */
function hardening(...advisoryIds: readonly string[]): EvidenceFaults {
  const [best, ...rest] = TCB_INFO.levels;
  assert.ok(best !== undefined);
  const level = { ...best, tcbStatus: 'SWHardeningNeeded', advisoryIds } as const;
  const collateral: CollateralFaults = { tcbInfoInput: { levels: [level, ...rest] } };
  return { collateral };
}

function exception(overrides: Overrides = {}): Json {
  return {
    id: 'INTEL-SA-00001',
    rules: ['test-rule'],
    admits: 'sw-hardening-needed',
    reason: 'mitigated in the guest',
    owner: 'alice',
    expires: '2026-07-01T00:00:00Z',
    ...overrides,
  };
}

const STATUS_IDS = ['cpu.tcbStatus', 'cpu.tcbStatus.current'];

test('a machine that is not fully patched is refused, its advisories named', async () => {
  const built = await buildEvidence(pki, hardening('INTEL-SA-00001'));
  const { verdict } = judge({}, built);
  assert.deepEqual(misses(verdict.checks), STATUS_IDS);
  const check = verdict.checks.find(({ id }) => id === 'cpu.tcbStatus');
  assert.ok(check?.outcome === 'fail');
  assert.equal(check.got, 'SWHardeningNeeded with INTEL-SA-00001');
});

test('an advisory entry admits it, as waived, until the entry ends', async () => {
  const built = await buildEvidence(pki, hardening('INTEL-SA-00001'));
  const soon = '2026-06-15T12:01:00Z';
  const result = judge({ advisories: [exception({ expires: soon })] }, built);
  assert.ok(result.outcome === 'admitted');
  const check = result.verdict.checks.find(({ id }) => id === 'cpu.tcbStatus');
  assert.ok(check?.outcome === 'waived');
  assert.equal(check.note, 'INTEL-SA-00001: mitigated in the guest (alice)');
  assert.match(check.by, /^advisories \[test\.yaml:\d+\]$/);
  assert.equal(result.key.expiresAtMs, NOW_MS + 60_000);
});

const USELESS_EXCEPTIONS: readonly (readonly [what: string, entry: Overrides])[] = [
  ['that has ended', { expires: PAST }],
  ['that names no rule', { rules: [] }],
  ['that admits another status', { admits: 'out-of-date' }],
  ['about another advisory', { id: 'INTEL-SA-00002' }],
];

for (const [what, entry] of USELESS_EXCEPTIONS) {
  test(`an advisory entry ${what} does not admit`, async () => {
    const built = await buildEvidence(pki, hardening('INTEL-SA-00001'));
    assert.deepEqual(
      misses(judge({ advisories: [exception(entry)] }, built).verdict.checks),
      STATUS_IDS,
    );
  });
}

test('several advisories on a machine need one entry each', async () => {
  const built = await buildEvidence(pki, hardening('INTEL-SA-00001', 'INTEL-SA-00002'));
  const first = exception();
  assert.equal(judge({ advisories: [first] }, built).outcome, 'denied');
  const both = [first, exception({ id: 'INTEL-SA-00002' })];
  assert.equal(judge({ advisories: both }, built).outcome, 'admitted');
});

test('a status without any advisory cannot be excused', async () => {
  const built = await buildEvidence(pki, hardening());
  assert.equal(judge({ advisories: [exception()] }, built).outcome, 'denied');
});

test('an exception does not lower the other floors', async () => {
  const [best] = TCB_INFO.levels;
  assert.ok(best !== undefined);
  const level = {
    ...best,
    tcbStatus: 'OutOfDate',
    tcbDay: '2024-01-01',
    advisoryIds: ['INTEL-SA-00001'],
  } as const;
  const built = await buildEvidence(pki, { collateral: { tcbInfoInput: { levels: [level] } } });
  const advisories = [exception({ admits: 'out-of-date' })];
  assert.deepEqual(misses(judge({ advisories }, built).verdict.checks), ['cpu.tcbDate']);
});

test('a revoked machine is never admitted', async () => {
  const [best] = TCB_INFO.levels;
  assert.ok(best !== undefined);
  const level = { ...best, tcbStatus: 'Revoked', advisoryIds: ['INTEL-SA-00001'] } as const;
  const built = await buildEvidence(pki, { collateral: { tcbInfoInput: { levels: [level] } } });
  for (const admits of ['out-of-date', 'configuration-needed', 'sw-hardening-needed']) {
    const { outcome, verdict } = judge({ advisories: [exception({ admits })] }, built);
    assert.equal(outcome, 'denied');
    assert.deepEqual(misses(verdict.checks), STATUS_IDS);
  }
});

// Debug.

test('a debuggable machine is refused under the most permissive policy that loads', async () => {
  const built = await buildEvidence(pki, {
    quote: { td: { tdAttributes: fixed(fromHex('0100001000000000'), 8) } },
  });
  const permissive = {
    ...ruleWith({
      tcb_eval_number: ANY,
      tcb_date: ANY,
      mrseam: ANY,
      fmspc: ANY,
      platforms: ANY,
      attributes: {
        ...ATTRIBUTES,
        perfmon: 'any',
        protection_keys: 'any',
        key_locker: 'any',
        lass: 'any',
      },
    }),
    advisories: [exception()],
  };
  assert.equal(judge(permissive).outcome, 'admitted');
  assert.deepEqual(misses(judge(permissive, built).verdict.checks), ['policy.td.debug']);
});

// Several rules.

function namedRule(id: string, cpu: Overrides): Json {
  return { ...TEST_RULE, id, cpu: { ...TEST_CPU, ...cpu } };
}

const OTHER_FMSPC = { fmspc: { allow: ['00806f050000'] } };
const OTHER_PPID = { platforms: { allow: { ppid: ['22'.repeat(16)] } } };

test('one rule in which everything holds is enough', () => {
  const rules = [namedRule('first', OTHER_FMSPC), namedRule('second', {})];
  const { outcome, verdict } = judge({ rules });
  assert.equal(outcome, 'admitted');
  assert.equal(verdict.rule, 'second');
});

test('two rules with one failure each do not add up to one that holds', () => {
  const rules = [namedRule('first', OTHER_FMSPC), namedRule('second', OTHER_PPID)];
  const { outcome, verdict } = judge({ rules });
  assert.equal(outcome, 'denied');
  assert.equal(verdict.rule, 'first', 'a tie goes to the first in the file');
});

test('the nearest rule is reported, with its failures and no other’s', () => {
  const rules = [
    namedRule('far', { ...OTHER_FMSPC, ...OTHER_PPID }),
    namedRule('near', OTHER_PPID),
  ];
  const { verdict } = judge({ rules });
  assert.equal(verdict.rule, 'near');
  assert.deepEqual(misses(verdict.checks), ['cpu.platforms']);
});

test('an admitting rule wins over an earlier one that waives more', () => {
  const rules = [namedRule('first', {}), namedRule('second', { fmspc: ANY })];
  assert.equal(judge({ rules }).verdict.rule, 'first');
});

test('simulated evidence that a policy without development roots is asked about is refused there too', () => {
  const { development: _, roots: __, ...hardware } = testPolicyDocument(sound.rootSha256);
  const policy = compileDocument(hardware);
  const tee = teeOf('tdx');
  const finding = tee.verify({
    evidence: sound.evidence,
    nowMs: NOW_MS,
    simulatedRoots: [sound.rootSha256],
    caches: {},
  });
  assert.equal(finding.simulated, true);
  const statement = parseStatement(sound.evidence.statement);
  const card = parseCard(sound.evidence.card);
  const statementBytes = sound.evidence.statement;
  const input = {
    policy,
    tee,
    finding,
    subject: { statement, statementBytes, card },
    revocations: NOTHING_REVOKED,
    nowMs: NOW_MS,
  };
  assert.deepEqual(misses(evaluatePolicy(input).checks), ['policy.simulated']);
});
