/** Every check there is has words for people, whichever list it stands in. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AZURE_CHECK_IDS } from '../../attestation/azure/check-list.ts';
import { appraisalCheckIds } from '../../attestation/appraise.ts';
import { explanationOf, warningExplanationOf } from '../../attestation/explanations.ts';
import { gatewayCheckIds } from '../../attestation/gateway/appraise-gateway.ts';
import { POLICY_CHECK_IDS } from '../../attestation/policy/evaluate.ts';
import { RULE_CHECK_IDS } from '../../attestation/policy/judge-rule.ts';
import { SNP_RULE_CHECK_IDS } from '../../attestation/policy/snp-rule.ts';
import { TDX_RULE_CHECK_IDS } from '../../attestation/policy/tdx-rule.ts';
import { SNP_CHECK_IDS } from '../../attestation/snp/check-list.ts';
import { STATEMENT_CHECK_IDS } from '../../attestation/statement-checks.ts';
import { TDX_CHECK_IDS } from '../../attestation/tdx/check-list.ts';
import { TEES, teeOf } from '../../attestation/tees.ts';
import type { TeeName } from '../../attestation/verdict.ts';

const SHARED = [
  ...STATEMENT_CHECK_IDS,
  ...POLICY_CHECK_IDS,
  ...RULE_CHECK_IDS,
  ...AZURE_CHECK_IDS,
  'gateway.identity',
];
const LISTS: Readonly<Record<TeeName, readonly string[]>> = {
  tdx: [
    ...TDX_CHECK_IDS,
    ...TDX_RULE_CHECK_IDS,
    ...appraisalCheckIds(teeOf('tdx')),
    ...gatewayCheckIds(teeOf('tdx')),
    ...SHARED,
  ],
  snp: [
    ...SNP_CHECK_IDS,
    ...SNP_RULE_CHECK_IDS,
    ...appraisalCheckIds(teeOf('snp')),
    ...gatewayCheckIds(teeOf('snp')),
    ...SHARED,
  ],
};

for (const { name } of TEES) {
  test(`no check of an appraisal of ${name} is without an explanation`, () => {
    const missing = [...new Set(LISTS[name])].filter((id) => explanationOf(name, id) === undefined);
    assert.deepEqual(missing, []);
  });

  test(`explanations for ${name} are whole sentences without line breaks`, () => {
    for (const id of LISTS[name]) {
      const { checks, matters, fix } = explanationOf(name, id) ?? assert.fail(id);
      for (const text of [checks, matters, fix]) {
        assert.match(text, /^\S.{8,}[.:]$/u, `${id}: ${text}`);
        assert.ok(!/\s{2}|\n|undefined/.test(text), `${id}: ${text}`);
      }
    }
  });
}

test('an id of no list has none', () => {
  for (const id of ['', 'quote', 'policy.', 'cpu.nothing', 'constructor', '__proto__']) {
    for (const { name } of TEES) assert.equal(explanationOf(name, id), undefined, id);
  }
});

test('a check of one kind of machine is not explained for the other', () => {
  assert.equal(explanationOf('snp', 'quote.format'), undefined);
  assert.equal(explanationOf('tdx', 'bind.tcb'), undefined);
});

test('warnings have words too', () => {
  const ids = [
    'quote.trailing',
    'collateral.evaluationNumberMismatch',
    'pck.cpuSvnMismatch',
    'report.maskChipKey',
    'report.chipIdUnproven',
    'report.provisionalFirmware',
  ];
  for (const id of ids) assert.ok(warningExplanationOf(id) !== undefined, id);
});
