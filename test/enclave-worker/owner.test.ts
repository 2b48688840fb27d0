/** The owner's key signs for its own card only, also over IPC. @module */

import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { mock, test } from 'node:test';
import { generateEd25519, generateX25519, randomBytes, sha256, verifyEd25519 } from '#primitives';
import { utf8 } from '../../core/bytes.ts';
import { cardDigestOf, encodeCard } from '../../attestation/card.ts';
import {
  encodeStatement,
  statementHash,
  type StatementFields,
} from '../../attestation/statement.ts';
import type { IpcChannel } from '../../enclave-worker/ipc.ts';
import { ipcOwnerSigner, localOwnerSigner, serveOwner } from '../../enclave-worker/owner.ts';
import { FREE_PRICES } from '../support/attested-key.ts';

const owner = generateEd25519();
const weights = sha256(utf8('weights'));

function cardOf(ownerKey = owner.publicKey) {
  return encodeCard({
    owner: ownerKey,
    model: { id: 'm', contextLength: 100, capabilities: ['chat'], weights },
    limits: { maxPromptTokens: 10, maxOutputTokens: 10, maxConcurrent: 1 },
    prices: FREE_PRICES,
    payout: null,
  });
}

const card = cardOf();

function fieldsOf(): StatementFields {
  return {
    aud: 'gw1.test',
    iat: 1_750_000_000,
    exp: 1_750_003_600,
    nonce: randomBytes(32),
    tee: 'tdx',
    keys: {
      hpke: { kem: 'X25519', pk: generateX25519().publicKey },
      sig: { alg: 'Ed25519', pk: generateEd25519().publicKey },
      tls: { spkiSha256: randomBytes(32) },
    },
    workload: { image: randomBytes(32), config: randomBytes(32), model: weights },
    devices: null,
  };
}

function statementOf(more: Partial<StatementFields> = {}): Uint8Array {
  return encodeStatement({ ...fieldsOf(), card: cardDigestOf(card), ...more });
}

/** Two ends of one pipe. */
function channelPair(): readonly [IpcChannel, IpcChannel] {
  const [a, b] = [new EventEmitter(), new EventEmitter()];
  const end = (mine: EventEmitter, theirs: EventEmitter): IpcChannel => ({
    send: (message) => void setImmediate(() => theirs.emit('message', structuredClone(message))),
    onMessage: (listener) => {
      mine.on('message', listener);
      return () => void mine.off('message', listener);
    },
  });
  return [end(a, b), end(b, a)];
}

const signer = localOwnerSigner(owner.secretKey, card);
const REFUSED = { code: 'worker.owner_refused' };

test("the owner signs SHA-256 of a statement about the owner's card", async () => {
  const statement = statementOf();
  const signature = await signer.sign(statement, card);
  assert.ok(verifyEd25519(owner.publicKey, signature, statementHash(statement)));
});

test('another card is refused', async () => {
  const foreign = cardOf(generateEd25519().publicKey);
  await assert.rejects(signer.sign(statementOf({ card: cardDigestOf(foreign) }), foreign), REFUSED);
});

test('a statement that names another card than the one shown is refused', async () => {
  await assert.rejects(signer.sign(statementOf({ card: randomBytes(32) }), card), REFUSED);
});

test('a statement without a card is refused', async () => {
  await assert.rejects(signer.sign(encodeStatement(fieldsOf()), card), REFUSED);
});

test('other weights than those of the card are refused', async () => {
  const workload = { image: randomBytes(32), config: randomBytes(32), model: randomBytes(32) };
  await assert.rejects(signer.sign(statementOf({ workload }), card), REFUSED);
});

test('a statement that lives longer than an hour is refused', async () => {
  await assert.rejects(signer.sign(statementOf({ exp: 1_750_003_601 }), card), REFUSED);
});

test('with a clock, a statement of another time is refused', async () => {
  const [iat, exp] = [1_750_000_000, 1_750_003_600];
  const at = (nowS: number) =>
    localOwnerSigner(owner.secretKey, card, { now: () => nowS * 1000 }).sign(
      statementOf({ iat, exp }),
      card,
    );
  for (const nowS of [iat - 300, iat, iat + 300]) assert.equal((await at(nowS)).length, 64);
  for (const nowS of [iat - 301, iat + 301, exp, 0, 2e9]) await assert.rejects(at(nowS), REFUSED);
  const expired = statementOf({ iat, exp: iat });
  const now = () => iat * 1000;
  await assert.rejects(
    localOwnerSigner(owner.secretKey, card, { now }).sign(expired, card),
    REFUSED,
  );
});

test('with a list of gateways, a statement for another one is refused', async () => {
  const only = (...auds: readonly string[]) =>
    localOwnerSigner(owner.secretKey, card, { auds }).sign(statementOf(), card);
  assert.equal((await only('gw1.other', 'gw1.test')).length, 64);
  await assert.rejects(only('gw1.other'), REFUSED);
  await assert.rejects(only(), REFUSED);
});

test('over IPC the same answers come back, several at a time', async () => {
  const [worker, parent] = channelPair();
  const stop = serveOwner(parent, signer);
  const remote = ipcOwnerSigner(worker);
  const statements = [statementOf(), statementOf(), statementOf()];
  const signatures = await Promise.all(statements.map((statement) => remote.sign(statement, card)));
  for (const [index, statement] of statements.entries()) {
    const signature = signatures[index];
    assert.ok(signature !== undefined);
    assert.ok(verifyEd25519(owner.publicKey, signature, statementHash(statement)));
  }
  await assert.rejects(remote.sign(statementOf({ card: randomBytes(32) }), card), REFUSED);
  await assert.rejects(remote.sign(utf8('not a statement'), card), REFUSED);
  stop();
});

test('an owner who does not answer is silent, not trusted', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    const [worker] = channelPair();
    const signing = ipcOwnerSigner(worker).sign(statementOf(), card);
    mock.timers.tick(10_000);
    await assert.rejects(signing, { code: 'worker.owner_silent' });
  } finally {
    mock.timers.reset();
  }
});

test('messages that are no requests are not answered', async () => {
  const [worker, parent] = channelPair();
  const answers: unknown[] = [];
  worker.onMessage((message) => void answers.push(message));
  serveOwner(parent, signer);
  for (const message of [[], {}, { kind: 'owner.sign' }, { kind: 'other', id: 1 }]) {
    worker.send(message);
  }
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  assert.deepEqual(answers, []);
});
