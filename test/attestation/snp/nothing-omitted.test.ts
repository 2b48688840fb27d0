/**
 * Every rule of the verifier has somebody who judges it in an appraisal: the verifier's invariants, a line of the
 * policy, the image's tuple or the statement. A rule added to the verifier alone would be left out in silence.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SNP_AUTHENTICITY_CHECKS, SNP_POLICY_CHECKS } from '../../../attestation/snp/check-list.ts';
import { SNP_RULE_CHECK_IDS } from '../../../attestation/policy/snp-rule.ts';
import { snp } from '../../../attestation/snp/verifier.ts';

const BY_TUPLE: readonly string[] = ['policy.measurement', 'policy.hostData', 'policy.idKey'];
const BY_STATEMENT: readonly string[] = ['policy.reportData'];
/** Of the ID block and of one start: names, which say nothing that measurement and statement do not. */
const NAMES: readonly string[] = [
  'policy.familyId',
  'policy.imageId',
  'policy.reportId',
  'policy.reportIdMa',
];

test('each rule of the verifier is judged in one place', () => {
  for (const id of SNP_POLICY_CHECKS) {
    const places = [
      snp.checkIds.includes(id),
      SNP_RULE_CHECK_IDS.includes(id.replace('policy.', 'cpu.')),
      BY_TUPLE.includes(id),
      BY_STATEMENT.includes(id),
      NAMES.includes(id),
    ];
    assert.equal(places.filter(Boolean).length, 1, id);
  }
});

test('all of authenticity, and what no policy can allow, is judged before any rule', () => {
  assert.deepEqual(snp.checkIds, [
    ...SNP_AUTHENTICITY_CHECKS,
    'policy.maskedChipId',
    'policy.guestPolicy.migrateMa',
    'policy.guestPolicy.debug',
  ]);
});
