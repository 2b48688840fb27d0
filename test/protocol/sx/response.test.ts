/** What a client refuses: one named test per attack on the answer, for both KEMs. Spec: P§10, P§9.4. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, fixed, utf8 } from '../../../core/bytes.ts';
import { generateEd25519, randomBytes, signEd25519 } from '#primitives';
import { encodeReceipt, parseReceiptUnverified, type Receipt } from '../../../protocol/receipt.ts';
import { gatewayErrorFrame } from '../../../protocol/sx/clear.ts';
import { verifyReceipt } from '../../../protocol/sx/check-receipt.ts';
import { clearFrame, FRAME, FrameSealer } from '../../../protocol/sx/frames.ts';
import { responseKeys } from '../../../protocol/sx/key-schedule.ts';
import { ResponseReader } from '../../../protocol/sx/read-response.ts';
import { KEEPALIVE_FRAME, ResponseSealer } from '../../../protocol/sx/respond.ts';
import type { ClientExchange } from '../../../protocol/sx/seal.ts';
import { TEST_POLICY_DIGEST } from '../../support/attested-key.ts';
import {
  answer,
  exchangeOf,
  flip,
  framesOf,
  KEMS,
  NOW_MS,
  pick,
  read,
  refuses,
  refusesCoded,
  seal,
  stageWorkers,
  StageWorker,
  textOf,
} from './stage.ts';

/** opening, head, three data, end of content, trailer, receipt, final. */
function parts(response: Uint8Array) {
  const opening = response.subarray(0, 48);
  const [head, one, two, three, end, trailer, receipt, final, ...more] = framesOf(
    response.subarray(48),
  );
  assert.ok(head && one && two && three && end && trailer && receipt && final);
  assert.equal(more.length, 0);
  return { opening, head, one, two, three, end, trailer, receipt, final };
}

for (const kem of KEMS) {
  const stage = () => {
    const workers = stageWorkers(kem, 2);
    const { sealed, response } = exchangeOf(workers);
    const reads = (...frames: readonly Uint8Array[]) => {
      return () => read(sealed.exchange, concat(...frames));
    };
    return { workers, sealed, response, reads, ...parts(response) };
  };

  test(`${kem}: cut before FINAL, at every frame boundary and in every frame`, () => {
    const { sealed, response } = stage();
    let at = 48;
    for (const frame of framesOf(response.subarray(48))) {
      for (const end of [at, at + 1, at + 3, at + frame.length - 1]) {
        refuses(() => read(sealed.exchange, response.subarray(0, end)), 'sx.truncated');
      }
      at += frame.length;
    }
    refuses(() => read(sealed.exchange, response.subarray(0, 47)), 'sx.truncated');
    refuses(() => new ResponseReader(sealed.exchange).end(), 'sx.truncated');
  });

  test(`${kem}: frames reordered`, () => {
    const s = stage();
    const { opening, head, one, two, three, end, trailer, receipt, final } = s;
    refuses(s.reads(opening, head, two, one, three, end, trailer, receipt, final), 'sx.response');
    refuses(s.reads(opening, one, head, two, three, end, trailer, receipt, final), 'sx.response');
    refuses(s.reads(opening, head, one, two, three, end, receipt, trailer, final), 'sx.receipt');
    refuses(s.reads(opening, head, one, receipt, two, three, end, trailer, final), 'sx.response');
  });

  test(`${kem}: a frame repeated, a frame dropped`, () => {
    const s = stage();
    const { opening, head, one, two, three, end, trailer, receipt, final } = s;
    refuses(s.reads(opening, head, one, one, two, three, end), 'sx.response');
    refuses(s.reads(opening, head, one, three, end, trailer, receipt, final), 'sx.response');
    refuses(s.reads(opening, head, one, two, three, trailer, receipt, final), 'sx.response');
    refuses(s.reads(opening, head, one, two, three, end, receipt, final), 'sx.receipt');
  });

  test(`${kem}: DATA retyped as FINAL, FINAL as DATA`, () => {
    const s = stage();
    const { opening, head, one, final } = s;
    refuses(s.reads(opening, head, flip(one, 0, 1)), 'sx.response');
    refuses(s.reads(opening, head, flip(final, 0, 1)), 'sx.response');
  });

  test(`${kem}: the receipt dropped, doubled, altered`, () => {
    const s = stage();
    const { opening, head, one, two, three, end, trailer, receipt, final } = s;
    const before = [opening, head, one, two, three, end, trailer];
    refuses(s.reads(...before, final), 'sx.receipt_missing');
    refuses(s.reads(...before, receipt, receipt, final), 'sx.response');
    // +4 header, +64 signature, +228 prompt tokens.
    refuses(s.reads(...before, flip(receipt, 4 + 64 + 231), final), 'sx.receipt');
    refuses(s.reads(...before, flip(receipt, 4), final), 'sx.receipt');
  });

  test(`${kem}: the receipt of another exchange of the same worker`, () => {
    const s = stage();
    const other = exchangeOf([pick(s.workers, 0)]);
    const { opening, head, one, two, three, end, trailer, final } = s;
    const { receipt } = parts(other.response);
    refuses(s.reads(opening, head, one, two, three, end, trailer, receipt, final), 'sx.receipt', {
      check: 'requestId',
    });
  });

  test(`${kem}: relabelled to the other recipient`, () => {
    const { workers, sealed, response } = stage();
    const changed = response.slice();
    changed.set(pick(workers, 1).attested.key.kid, 0);
    refuses(() => read(sealed.exchange, changed), 'sx.response');
  });

  test(`${kem}: from a worker to which it was not sealed`, () => {
    const { sealed, response } = stage();
    const changed = response.slice();
    changed.set(new StageWorker(kem).attested.key.kid, 0);
    refuses(() => read(sealed.exchange, changed), 'sx.response');
  });

  test(`${kem}: forged by the other recipient, who holds the content key`, () => {
    const workers = stageWorkers(kem, 2);
    const sealed = seal(workers);
    const forger = pick(workers, 1);
    const opened = forger.open(sealed.bytes);
    const responder = new ResponseSealer({
      kid: pick(workers, 0).attested.key.kid,
      prelude: opened.prelude,
      th: opened.th,
      nonce: randomBytes(32),
      // All it could use: a secret of its own making, or its own export.
      secret: randomBytes(32),
    });
    refuses(() => read(sealed.exchange, responder.head(200, [])), 'sx.response');
    const relabelled = concat(...answer(forger, opened));
    relabelled.set(pick(workers, 0).attested.key.kid, 0);
    refuses(() => read(sealed.exchange, relabelled), 'sx.response');
  });

  test(`${kem}: spliced from another exchange`, () => {
    const s = stage();
    const other = parts(exchangeOf(s.workers).response);
    refuses(s.reads(other.opening, other.head), 'sx.response');
    refuses(s.reads(s.opening, s.head, s.one, other.two), 'sx.response');
    refuses(s.reads(s.opening, s.head, s.one, other.final), 'sx.response');
  });

  test(`${kem}: bytes after FINAL`, () => {
    const { sealed, response, final } = stage();
    refuses(() => read(sealed.exchange, concat(response, KEEPALIVE_FRAME)), 'sx.trailing');
    refuses(() => read(sealed.exchange, concat(response, final)), 'sx.trailing');
    refusesCoded(() => read(sealed.exchange, concat(response, Uint8Array.of(0))), 'one byte');
  });

  test(`${kem}: every single changed byte of a sealed answer`, () => {
    const { sealed, response } = stage();
    for (let at = 0; at < response.length; at++) {
      const changed = flip(response, at, 1 << (at % 8));
      refusesCoded(() => read(sealed.exchange, changed), `byte ${at}`);
    }
  });
}

test('an answer in clear is not an answer', () => {
  const { sealed } = exchangeOf(stageWorkers('X25519', 1));
  const forged = utf8('{"id":"chatcmpl-1","choices":[{"message":{"content":"forged"}}]}');
  refuses(() => read(sealed.exchange, forged), 'sx.response');
});

test("a gateway's error is an event of its own, and the stream then fails", () => {
  const { sealed, response } = exchangeOf(stageWorkers('X25519', 1));
  const { opening, head, one } = parts(response);
  const reader = new ResponseReader(sealed.exchange);
  const events = reader.push(concat(opening, head, one, gatewayErrorFrame('worker.lost')));
  assert.deepEqual(events.at(-1), { kind: 'gateway-error', code: 'worker.lost' });
  assert.equal(textOf(events), 'data: one\n\n');
  refuses(() => reader.end(), 'sx.gateway');
  refuses(() => reader.push(KEEPALIVE_FRAME), 'sx.trailing');
});

test('a broken reader stays broken', () => {
  const { sealed, response } = exchangeOf(stageWorkers('X25519', 1));
  const reader = new ResponseReader(sealed.exchange);
  refuses(() => reader.push(flip(response, 60)), 'sx.response');
  refuses(() => reader.push(response), 'sx.response');
  refuses(() => reader.end(), 'sx.response');
});

test('keep-alives are legal before the first sealed frame only, and not without end', () => {
  const { sealed, response } = exchangeOf(stageWorkers('X25519', 1));
  const { opening, head } = parts(response);
  refuses(() => read(sealed.exchange, concat(opening, head, KEEPALIVE_FRAME)), 'sx.response');
  const many = concat(opening, ...Array.from({ length: 1025 }, () => KEEPALIVE_FRAME));
  refuses(() => read(sealed.exchange, many), 'sx.limit');
});

test('the ledger line is surfaced as it came, unverified, and only behind a receipt', () => {
  const { sealed, response } = exchangeOf(stageWorkers('X25519', 1));
  const { opening, head, one, two, three, end, trailer, receipt, final } = parts(response);
  const before = concat(opening, head, one, two, three, end, trailer);
  const line = clearFrame(FRAME.ledger, utf8('VGS1…'));
  const events = read(sealed.exchange, concat(before, receipt, line, final));
  assert.ok(events.some((event) => event.kind === 'ledger-unverified'));
  refuses(() => read(sealed.exchange, concat(before, line, receipt, final)), 'sx.response');
  refuses(() => read(sealed.exchange, concat(before, receipt, line, line, final)), 'sx.response');
  const long = clearFrame(FRAME.ledger, new Uint8Array(1025));
  refuses(() => read(sealed.exchange, concat(before, receipt, long, final)), 'sx.response');
});

test('a receipt injected into an answer that has none', () => {
  const [worker] = stageWorkers('X25519', 1);
  assert.ok(worker !== undefined);
  const sealed = seal([worker], { flags: { receiptRequired: false } });
  const opened = worker.open(sealed.bytes);
  const frames = answer(worker, opened);
  const withReceipt = concat(...frames);
  const { opening, head, one, two, three, end, trailer, receipt } = parts(withReceipt);
  const secret = sealed.exchange.responseSecret(worker.attested.key.kid);
  assert.ok(secret !== undefined);
  const zeroFinal = resealedFinal(sealed.exchange, opening, secret, 6, new Uint8Array(32));
  const before = concat(opening, head, one, two, three, end, trailer);
  read(sealed.exchange, concat(before, zeroFinal));
  refuses(() => read(sealed.exchange, concat(before, receipt, zeroFinal)), 'sx.receipt', {
    check: 'final',
  });
});

/** FINAL as frame number `sequence`, with any 32 bytes inside. */
function resealedFinal(
  exchange: ClientExchange,
  opening: Uint8Array,
  secret: ReturnType<ClientExchange['responseSecret']> & Uint8Array,
  sequence: number,
  data: Uint8Array,
): Uint8Array {
  const nonce = fixed(opening.slice(16), 32);
  const sealer = new FrameSealer(responseKeys(exchange.th, nonce, fixed(secret, 32)));
  for (let i = 0; i < sequence; i++) sealer.seal(FRAME.pad, new Uint8Array(), 128);
  return sealer.seal(FRAME.final, data, 128);
}

test('an unpadded or misaligned sealed frame is refused by its header', () => {
  const { sealed, response } = exchangeOf(stageWorkers('X25519', 1));
  const { opening } = parts(response);
  for (const length of [0, 16, 19, 143, 145, 65_680]) {
    const header = Uint8Array.of(0, length >>> 16, (length >>> 8) & 0xff, length & 0xff);
    refuses(() => read(sealed.exchange, concat(opening, header)), 'sx.response');
  }
});

test('a stream longer than the limit', () => {
  const { sealed, response } = exchangeOf(stageWorkers('X25519', 1));
  const reader = new ResponseReader(sealed.exchange, { wireMaxBytes: 100 });
  refuses(() => reader.push(response), 'sx.limit');
});

/** Each change is signed by the worker itself: only the named check stands in its way. */
const LIES: readonly (readonly [check: string, change: (receipt: Receipt) => Partial<Receipt>])[] =
  [
    ['requestId', () => ({ requestId: randomBytes(16) })],
    ['statementHash', () => ({ statementHash: randomBytes(32) })],
    ['kid', () => ({ kid: randomBytes(16) })],
    ['payerRef', () => ({ payerRef: randomBytes(32) })],
    ['workerId', () => ({ workerId: randomBytes(32) })],
    ['modelDigest', () => ({ modelDigest: randomBytes(32) })],
    ['priceDigest', () => ({ priceDigest: randomBytes(32) })],
    ['policyDigest', () => ({ policyDigest: randomBytes(32) })],
    ['reqHash', () => ({ reqHash: randomBytes(32) })],
    ['respHash', () => ({ respHash: randomBytes(32) })],
    ['simulated', () => ({ simulated: false })],
    ['maxPrompt', (r) => ({ usage: { ...r.usage, prompt: 101 } })],
    ['maxPrompt', (r) => ({ usage: { ...r.usage, cached: 94 } })],
    ['maxOutput', (r) => ({ usage: { ...r.usage, completion: 50 } })],
    ['maxOutput', (r) => ({ usage: { ...r.usage, reasoning: 47 } })],
    ['amount', (r) => ({ amount: r.amount + 1n })],
    ['amount', (r) => ({ amount: r.amount - 1n })],
    ['amount', (r) => ({ usage: { ...r.usage, completion: 3 } })],
    ['amount', (r) => ({ amount: r.amount + (1n << 64n) })],
    ['time', (r) => ({ startMs: r.endMs + 1 })],
    ['workerSeq', () => ({ workerSeq: 0n })],
    ['prevReceiptHash', () => ({ prevReceiptHash: randomBytes(32) })],
  ];

function receiptStage() {
  const worker = new StageWorker('X25519');
  const sealed = seal([worker]);
  const { receipt: frame } = parts(concat(...answer(worker, worker.open(sealed.bytes))));
  const { receipt } = parseReceiptUnverified(frame.subarray(4));
  const resigned = (changed: Receipt) => {
    const body = encodeReceipt(changed);
    return concat(signEd25519(worker.attested.signing.secretKey, body), body);
  };
  const { prelude, th } = sealed.exchange;
  const expected = {
    key: worker.attested.key,
    prelude,
    th,
    respHash: receipt.respHash,
    policyDigest: TEST_POLICY_DIGEST,
  } as const;
  return { receipt, resigned, expected };
}

for (const [check, change] of LIES) {
  test(`a receipt whose signer lies: ${check} (${Object.keys(change(receiptStage().receipt)).join()})`, () => {
    const { receipt, resigned, expected } = receiptStage();
    verifyReceipt(resigned(receipt), expected);
    const lie = resigned({ ...receipt, ...change(receipt) });
    refuses(() => verifyReceipt(lie, expected), 'sx.receipt', { check });
  });
}

test('a receipt above the ceiling, in another asset, by another key', () => {
  const { receipt, resigned, expected } = receiptStage();
  const payload = resigned(receipt);
  const { key, prelude } = expected;
  const low = { ...expected, prelude: { ...prelude, maxAmount: receipt.amount - 1n } };
  refuses(() => verifyReceipt(payload, low), 'sx.receipt', { check: 'maxAmount' });
  const usdt = { ...expected, prelude: { ...prelude, asset: 1 as const } };
  refuses(() => verifyReceipt(payload, usdt), 'sx.receipt', { check: 'asset' });
  const stranger = { ...key, receiptKey: generateEd25519().publicKey };
  refuses(() => verifyReceipt(payload, { ...expected, key: stranger }), 'sx.receipt', {
    check: 'signature',
  });
});

test('a gateway checks all but the policy, which is sealed, and the hash of an answer it saw cut', () => {
  const { receipt, resigned, expected } = receiptStage();
  const other = resigned({ ...receipt, policyDigest: randomBytes(32) });
  verifyReceipt(other, { ...expected, policyDigest: 'sealed' });
  const cut = resigned({ ...receipt, respHash: randomBytes(32) });
  verifyReceipt(cut, { ...expected, respHash: 'cut' });
});

test('receipts of another form: size, magic, status bits, times', () => {
  const { receipt, resigned } = receiptStage();
  const payload = resigned(receipt);
  const parse = (bytes: Uint8Array) => () => parseReceiptUnverified(bytes);
  refuses(parse(payload.subarray(1)), 'sx.receipt', { check: 'format.size' });
  refuses(parse(concat(payload, Uint8Array.of(0))), 'sx.receipt', { check: 'format.size' });
  refuses(parse(flip(payload, 64)), 'sx.receipt', { check: 'format.magic' });
  for (const bits of [3, 4, 0x40]) {
    refuses(parse(flip(payload, 64 + 260, bits)), 'sx.receipt', { check: 'format.status' });
  }
  refuses(parse(flip(payload, 64 + 261, 0x80)), 'sx.receipt', { check: 'format.time' });
  assert.deepEqual(parse(payload)().receipt, receipt);
});

test('a worker cannot sign beyond the bounds of the request', () => {
  const worker = new StageWorker('X25519');
  for (const usage of [
    { prompt: 101, cached: 0, completion: 1, reasoning: 0 },
    { prompt: 1, cached: 0, completion: 51, reasoning: 0 },
  ]) {
    const { responder } = worker.open(seal([worker]).bytes);
    responder.head(200, []);
    const sign = () =>
      responder.receipt({
        signer: worker.signer,
        policyDigest: TEST_POLICY_DIGEST,
        usage,
        outcome: 'ok',
        startMs: NOW_MS,
        endMs: NOW_MS,
      });
    refuses(sign, 'internal.invariant');
  }
});

test('a worker cannot write an answer out of order', () => {
  const worker = new StageWorker('X25519');
  const fresh = () => worker.open(seal([worker]).bytes).responder;
  refuses(() => fresh().data(utf8('x')), 'internal.invariant');
  refuses(() => fresh().final(), 'internal.invariant');
  const responder = fresh();
  responder.head(200, []);
  refuses(() => responder.head(200, []), 'internal.invariant');
  responder.trailer(utf8('{}'));
  refuses(() => responder.data(utf8('x')), 'internal.invariant');
  refuses(() => responder.trailer(utf8('{}')), 'internal.invariant');
  responder.final();
  refuses(() => responder.final(), 'internal.invariant');
  refuses(() => fresh().head(200, [['set-cookie', 'x']]), 'sx.inner');
});
