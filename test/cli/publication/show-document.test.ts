/** What somebody is shown before signing says everything that is different. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openBytes } from '../../../cli/publication/documents.ts';
import { shownDocument } from '../../../cli/publication/show-document.ts';
import { makeRelease, named, policyOf, reader } from '../../support/publication.ts';
import { NOW_MS } from '../../support/tdx/pki.ts';

test('another content under a serial that is in force does not pass for the same', () => {
  const other = named(policyOf(1, { note: 'another' }));
  const release = openBytes('release', makeRelease({ number: 2, current: other }));
  const { changes } = shownDocument(release, reader(), NOW_MS);
  assert.deepEqual(changes, ['! serial 1 with ANOTHER CONTENT than the one that is published']);
});
