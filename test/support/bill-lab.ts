/**
 * A bill made by hand, with every key in the test's hands: each party's lie is one change here, signed as it would be, so
 * that exactly the check against that lie can fail. @module
 */

import { generateEd25519, randomBytes, signEd25519 } from '#primitives';
import { concat, type Bytes } from '../../core/bytes.ts';
import { cardDigestOf, encodeCard, workerIdOf, type CardFields } from '../../attestation/card.ts';
import {
  encodeStatement,
  kidOf,
  statementHash,
  type StatementFields,
} from '../../attestation/statement.ts';
import type { Bill } from '../../client/pay/bill.ts';
import {
  audOf,
  signGatewayDocument,
  type GatewayDocument,
} from '../../protocol/gateway-document.ts';
import { generateHpkeKeyPair } from '../../protocol/hpke.ts';
import { encodeMeter, type Meter } from '../../protocol/meter.ts';
import { amountDue } from '../../protocol/price.ts';
import { encodeReceipt, parseReceiptUnverified, type Receipt } from '../../protocol/receipt.ts';
import { encodePrelude, payerRefOf, routeTag, type Prelude } from '../../protocol/sx/prelude.ts';
import type { ChannelTerms } from '../../settlement/channel-terms.ts';
import { amount, type Amount } from '../../settlement/money.ts';
import { placeChannel } from '../../settlement/ton/channels/place.ts';
import { signStatement, statementSigner, type Statement } from '../../settlement/statement.ts';
import { signVoucher, type VoucherTerms } from '../../settlement/voucher.ts';
import { TEST_PRICES } from './attested-key.ts';
import { testCard, testStatement } from './worker-evidence.ts';

export const BILL_AT_MS = 1_800_000_000_000;
const IDENTITY = generateEd25519();
export const BILL_AUD = audOf(IDENTITY.publicKey);
const LEDGER = generateEd25519();
const WORKER = generateEd25519();
const OWNER = generateEd25519();
const PAYER = generateEd25519();
const HPKE = generateHpkeKeyPair('X25519');
const PAYEE = { address: `0:${'ab'.repeat(32)}`, key: generateEd25519().publicKey };
const TERMS: ChannelTerms = {
  network: 'tvm:-3',
  payer: `0:${'cd'.repeat(32)}`,
  payee: PAYEE.address,
  payerKey: PAYER.publicKey,
  payeeKey: PAYEE.key,
  withdrawDelayS: 86_400,
  salt: 7n,
};

const CHANNEL = placeChannel(TERMS).id;

type MeterLie = Partial<Meter> & { readonly secret?: Bytes<32> };

/** What each party says that is not so. */
export interface Lies {
  readonly document?: Partial<GatewayDocument>;
  readonly statement?: Partial<StatementFields>;
  readonly card?: Partial<CardFields>;
  readonly prelude?: Partial<Prelude>;
  readonly receipt?: Partial<Receipt>;
  /** Present: the bill has one. */
  readonly meter?: MeterLie;
  readonly voucher?: Partial<VoucherTerms>;
  readonly terms?: Partial<ChannelTerms>;
  readonly line?: Partial<Statement>;
  readonly seen?: readonly Partial<Statement>[];
  readonly ceiling?: Amount;
  readonly bill?: Partial<Bill>;
  /** In place of the ledger's key. */
  readonly ledgerSecret?: Bytes<32>;
}

const USAGE = { prompt: 5, cached: 1, completion: 2, reasoning: 3 };
export const BILL_COST = amountDue(TEST_PRICES, USAGE, 'ok');
/** Of the same without what is not shown. */
export const METER_COST = amountDue(TEST_PRICES, { ...USAGE, reasoning: 0 }, 'ok');
const MAX = BILL_COST * 2n;

export function billOf(lies: Lies = {}): Bill {
  const cardBytes = encodeCard(
    testCard({ owner: OWNER.publicKey, prices: TEST_PRICES, ...lies.card }),
  );
  const worker = encodeStatement(
    testStatement({
      aud: audOf(IDENTITY.publicKey),
      card: cardDigestOf(cardBytes),
      keys: {
        hpke: { kem: 'X25519', pk: HPKE.publicKey },
        sig: { alg: 'Ed25519', pk: WORKER.publicKey },
        tls: { spkiSha256: OWNER.publicKey },
      },
      ...lies.statement,
    }),
  );
  const msgId = randomBytes(16);
  const th = randomBytes(32);
  const prelude = { ...preludeOf(msgId), ...lies.prelude };
  const receipt = receiptOf({ worker, cardBytes, prelude, th }, lies.receipt);
  const sign = statementSigner(lies.ledgerSecret ?? LEDGER.secretKey);
  const honest: Statement = {
    channel: CHANNEL,
    epoch: 0,
    n: 2n,
    requestId: receipt.receipt.requestId,
    receiptHash: receipt.hash,
    amount: amount(BILL_COST),
    cum: amount(BILL_COST + 100n),
    atMs: BILL_AT_MS,
    policyDigest: randomBytes(32),
  };
  const before = { ...honest, n: 1n, requestId: randomBytes(16), amount: amount(100n) };
  const seen = (lies.seen ?? [{}]).map(
    (lie) => signStatement({ ...before, cum: amount(100n), ...lie }, sign).payload,
  );
  const ceiling = amount(100n + MAX);
  return {
    faults: [],
    atMs: BILL_AT_MS,
    gateway: documentOf(lies.document),
    worker: { statement: worker, card: cardBytes },
    request: { prelude: encodePrelude(prelude), th },
    receipt: receipt.payload,
    line: signStatement({ ...honest, ...lies.line }, sign).payload,
    payment: {
      terms: { ...TERMS, ...lies.terms },
      voucher: signVoucher(PAYER.secretKey, {
        channel: CHANNEL,
        epoch: 0,
        ceiling,
        ...lies.voucher,
      }),
      ceiling: lies.ceiling ?? ceiling,
    },
    recount: { prompt: 6, completion: 2 },
    meter: lies.meter && {
      payload: meterOf({ worker, prelude }, lies.meter),
      recount: { prompt: 6, completion: 2 },
    },
    seen,
    ...lies.bill,
  };
}

/** Counts what the receipt counts, but for the lie. */
function meterOf(
  { worker, prelude }: { readonly worker: Uint8Array; readonly prelude: Prelude },
  { secret = WORKER.secretKey, ...lie }: MeterLie,
): Uint8Array {
  const body = encodeMeter({
    msgId: prelude.msgId,
    statementHash: statementHash(worker),
    completion: USAGE.completion,
    amount: METER_COST,
    seq: 1,
    frames: 2,
    ...lie,
  });
  return concat(signEd25519(secret, body), body);
}

function preludeOf(msgId: Bytes<16>): Prelude {
  return {
    recipientCount: 1,
    flags: { stream: false, constantRate: false, singleRecipient: false, receiptRequired: true },
    msgId,
    issuedAtMs: BILL_AT_MS - 10,
    ttlS: 60,
    deadlineMs: 60_000,
    kem: 'X25519',
    routeTag: routeTag('test/model'),
    maxAmount: MAX,
    maxPrompt: 10,
    maxOutput: 10,
    asset: 0,
    payerRef: payerRefOf(CHANNEL, msgId),
  };
}

function receiptOf(
  {
    worker,
    cardBytes,
    prelude,
    th,
  }: {
    readonly worker: Uint8Array;
    readonly cardBytes: Uint8Array;
    readonly prelude: Prelude;
    readonly th: Bytes<32>;
  },
  lie: Partial<Receipt> = {},
) {
  const hash = statementHash(worker);
  const body = encodeReceipt({
    requestId: prelude.msgId,
    statementHash: hash,
    kid: kidOf(hash, 'X25519', HPKE.publicKey),
    payerRef: prelude.payerRef,
    workerId: workerIdOf(OWNER.publicKey),
    modelDigest: testCard().model.weights,
    priceDigest: cardDigestOf(cardBytes),
    policyDigest: randomBytes(32),
    usage: USAGE,
    amount: BILL_COST,
    outcome: 'ok',
    simulated: true,
    startMs: BILL_AT_MS - 5,
    endMs: BILL_AT_MS,
    reqHash: th,
    respHash: randomBytes(32),
    workerSeq: 1n,
    prevReceiptHash: hash,
    ...lie,
  });
  return parseReceiptUnverified(concat(signEd25519(WORKER.secretKey, body), body));
}

function documentOf(lie: Partial<GatewayDocument> = {}): Bill['gateway'] {
  return signGatewayDocument(
    {
      identity: IDENTITY.publicKey,
      tlsSpkiSha256: [],
      baseUrls: [],
      settlement: {
        payee: {
          network: 'tvm:-3',
          ...PAYEE,
          codeHash: randomBytes(32),
          withdrawDelayMinS: 3600,
          depositMin: 1n,
        },
        feeBps: 500,
        ledgerKeys: [LEDGER.publicKey],
      },
      issuedMs: BILL_AT_MS - 1000,
      expiresMs: BILL_AT_MS + 1000,
      ...lie,
    },
    (bytes) => signEd25519(IDENTITY.secretKey, bytes),
  );
}
