/**
 * Attack: endorsements of half a megabyte, made to be read and refused. Verifying the signature apart needs the report
 * and its certificate; whatever else came is read once, by the verification itself.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SignatureMemo } from '../../attestation/pki/signature.ts';
import { verifySnp, verifySnpApart } from '../../attestation/snp/verify.ts';
import { buildSnpCase } from '../support/snp/case.ts';
import { createSnpTestPki } from '../support/snp/pki.ts';

const pki = await createSnpTestPki();

test('a list and CA certificates are not read to verify a signature apart', async () => {
  const sound = await buildSnpCase(pki, {});
  const read: string[] = [];
  const endorsements = new Proxy(sound.evidence.endorsements, {
    get: (target, name, receiver): unknown => {
      read.push(String(name));
      return Reflect.get(target, name, receiver);
    },
  });
  const memo = new SignatureMemo();
  const watched = { ...sound, evidence: { ...sound.evidence, endorsements } };
  await verifySnpApart(watched, memo);
  assert.deepEqual([...new Set(read)], ['vek']);
  assert.deepEqual(verifySnp({ ...sound, memo }), verifySnp(sound));
});

test('a certificate that only the table brings is found apart too', async () => {
  const sound = await buildSnpCase(pki, { table: (entries) => entries, sent: () => ({}) });
  const memo = new SignatureMemo();
  const known: boolean[] = [];
  const watched = {
    get: (key: string) => memo.get(key),
    set: (key: string, holds: boolean) => {
      known.push(holds);
      memo.set(key, holds);
    },
  };
  await verifySnpApart(sound, Object.assign(new SignatureMemo(), watched));
  assert.deepEqual(known, [true]);
});
