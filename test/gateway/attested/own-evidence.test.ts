/** The gateway's own statement: renewed in time, withheld at its end, and challenges within bounds. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateEd25519, randomBytes, sha256 } from '#primitives';
import { manualClock, systemClock } from '../../../core/clock.ts';
import { hasCode } from '../../../core/errors.ts';
import { createLog } from '../../../core/node/log.ts';
import { parseGatewayStatement } from '../../../attestation/gateway/gateway-statement.ts';
import { simulatedGatewayQuotes } from '../../../cli/attested/quotes.ts';
import { providerError } from '../../../enclave-worker/errors.ts';
import { DEMO_GATEWAY_WORKLOAD } from '../../../enclave-worker/evidence/simulator/demo-image.ts';
import { OwnEvidence } from '../../../gateway/attested/own-evidence.ts';
import type { QuoteSource } from '../../../gateway/attested/quote-source.ts';
import { GATEWAY_EVENTS } from '../../../gateway/events.ts';
import { OWN_CHALLENGES_PER_MINUTE_MAX } from '../../../gateway/limits.ts';

const folder = mkdtempSync(join(tmpdir(), 'veilgate-own-'));
const honest = await simulatedGatewayQuotes('simulator', folder);
process.once('exit', () => rmSync(folder, { recursive: true }));

const NEVER = new AbortController().signal;

function open(source: Partial<QuoteSource> = {}) {
  const clock = manualClock(systemClock());
  const lines: string[] = [];
  const log = createLog({
    events: GATEWAY_EVENTS,
    part: 'gateway',
    level: 'info',
    destination: { write: (line) => void lines.push(line) },
  });
  const keys = {
    identity: generateEd25519().publicKey,
    tls: { spkiSha256: randomBytes(32) },
    ledger: [],
  };
  const own = new OwnEvidence({
    source: { ...honest, ...source },
    hosts: ['localhost'],
    keys,
    workload: DEMO_GATEWAY_WORKLOAD,
    lifetimeS: 600,
    clock: clock.now,
    log,
  });
  return { own, clock, keys, lines };
}

const isQuoteError = (error: unknown): boolean => hasCode(error, 'gateway.quote');

test('before the first statement there is nothing to show', () => {
  assert.throws(() => open().own.current(), isQuoteError);
});

test('what is shown names the keys, and is withheld shortly before its end', async () => {
  const { own, clock, keys } = open();
  await own.renew(NEVER);
  const statement = parseGatewayStatement(own.current().statement);
  assert.deepEqual(statement.keys, keys);
  assert.equal(statement.nonce, null);
  assert.equal(statement.exp - statement.iat, 600);
  clock.advance(498_000);
  own.current();
  clock.advance(2000);
  // A sixth of its life is left: whoever gets it now could hardly use it.
  assert.throws(() => own.current(), isQuoteError);
});

test('a machine that fails leaves what is shown, until its end', async () => {
  let isBroken = false;
  const { own, clock } = open({
    quote: (reportData, signal) =>
      isBroken
        ? Promise.reject(providerError('evidence.host', 'no quote'))
        : honest.quote(reportData, signal),
  });
  await own.renew(NEVER);
  const before = own.current();
  isBroken = true;
  await assert.rejects(own.renew(NEVER), (error) => hasCode(error, 'evidence.host'));
  assert.equal(own.current(), before);
  clock.advance(500_000);
  assert.throws(() => own.current(), isQuoteError);
});

test('a challenge is answered in a statement of its own, which is not shown to others', async () => {
  const { own } = open();
  await own.renew(NEVER);
  const challenge = sha256(Uint8Array.of(1));
  const answer = parseGatewayStatement((await own.answering(challenge, NEVER)).statement);
  assert.deepEqual(answer.nonce, challenge);
  assert.equal(parseGatewayStatement(own.current().statement).nonce, null);
});

test('challenges are answered one at a time, and so many a minute', async () => {
  const { own, clock } = open();
  const challenge = sha256(Uint8Array.of(1));
  const first = own.answering(challenge, NEVER);
  await assert.rejects(own.answering(challenge, NEVER), isQuoteError);
  await first;
  for (let asked = 1; asked < OWN_CHALLENGES_PER_MINUTE_MAX; asked++) {
    await own.answering(challenge, NEVER);
  }
  await assert.rejects(own.answering(challenge, NEVER), isQuoteError);
  clock.advance(60_000);
  await own.answering(challenge, NEVER);
});

test('whoever asks while another is answered uses up nothing', async () => {
  const { own } = open();
  const challenge = sha256(Uint8Array.of(1));
  const first = own.answering(challenge, NEVER);
  for (let asked = 0; asked < OWN_CHALLENGES_PER_MINUTE_MAX; asked++) {
    await assert.rejects(own.answering(challenge, NEVER), isQuoteError);
  }
  await first;
  await own.answering(challenge, NEVER);
});

test('a stranger who leaves before the quote is there is no failure of the gateway', async () => {
  const { own, lines } = open({
    quote: (_reportData, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      }),
  });
  const leave = new AbortController();
  const asked = own.answering(sha256(Uint8Array.of(1)), leave.signal);
  leave.abort();
  await assert.rejects(asked, isQuoteError);
  assert.match(lines.join(''), /gateway\.evidence_failed.*gateway\.quote/);
});

test('what a machine says of its trouble is logged as a code and not told to strangers', async () => {
  const { own, lines } = open({
    quote: () => Promise.reject(providerError('evidence.host', 'secret of the host')),
  });
  await assert.rejects(
    own.answering(sha256(Uint8Array.of(1)), NEVER),
    (error) => isQuoteError(error) && !String(error).includes('secret'),
  );
  assert.match(lines.join(''), /gateway\.evidence_failed.*evidence\.host/);
  assert.ok(!lines.join('').includes('secret'));
});
