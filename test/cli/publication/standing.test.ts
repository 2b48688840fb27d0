/** Who is said to have signed: those whose signature holds, and who are of the role. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAnyEnvelope } from '../../../attestation/publication/envelope.ts';
import { standing } from '../../../cli/publication/standing.ts';
import { fixed } from '../../../core/bytes.ts';
import { makeRelease, rootFields } from '../../support/publication.ts';

test('a signature that is not of its key, and one of another role, count for nothing', () => {
  const envelope = parseAnyEnvelope(makeRelease({}, ['alice', 'bob', 'dave']));
  const whole = standing(envelope, rootFields(), 'release');
  assert.deepEqual([whole.signed, whole.missing], [['alice', 'bob'], 0]);
  const [first, ...others] = envelope.signatures;
  assert.ok(first !== undefined);
  const broken = {
    ...first,
    sig: fixed(
      first.sig.map((byte) => byte ^ 1),
      64,
    ),
  };
  const half = standing({ ...envelope, signatures: [broken, ...others] }, rootFields(), 'release');
  assert.deepEqual([half.signed, half.missing], [['bob'], 1]);
});
