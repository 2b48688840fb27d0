/**
 * The money side of the gateway in memory: a real ledger, real vouchers, real ledger lines, and a hand on each of them for
 * tests in which the gateway lies. @module
 */

import { z } from 'zod';
import { generateEd25519, randomBytes, sha256, type KeyPair } from '#primitives';
import { fixed, fromHex, toHex, utf8, type Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { parseJson } from '../../core/json.ts';
import type { GatewaySettlement } from '../../protocol/gateway-document.ts';
import type { Meter } from '../../protocol/meter.ts';
import { parseReceiptUnverified, RECEIPT_BYTES } from '../../protocol/receipt.ts';
import { parseClearRequest } from '../../protocol/sx/clear.ts';
import { clearFrame, FRAME } from '../../protocol/sx/frames.ts';
import { ANNOUNCED_CHANNEL, type ChannelTerms } from '../../settlement/channel-terms.ts';
import type { AbandonedLedger } from '../../settlement/ledger/ledgers.ts';
import { LEDGERS } from '../../settlement/ledger/ledgers.ts';
import type {
  Account,
  AdmissionCode,
  ChainState,
  Reserve,
} from '../../settlement/ledger/ledger.ts';
import { amount } from '../../settlement/money.ts';
import { ceilingOf } from '../../settlement/price.ts';
import {
  parseStatementUnverified,
  signStatement,
  statementSigner,
  type Statement,
} from '../../settlement/statement.ts';
import { endOf, isPassSigned, parsePassUnverified } from '../../settlement/pass.ts';
import { costOfMore, STEPS_AHEAD, stepTokens, tokensAtFirst } from '../../settlement/steps.ts';
import { parseVoucherTextUnverified, verifyVoucher } from '../../settlement/voucher.ts';
import {
  encodePaymentRequired,
  PASS_HEADER,
  VOUCHER_HEADER,
  type PaymentRequired,
} from '../../settlement/x402.ts';
import { TEST_PRICES } from './attested-key.ts';
import { LEDGER_KEY, openLab, POLICY, type LedgerLab } from './ledger-lab.ts';
import { fateOf } from './memory-fates.ts';

/** What the gateway may do with money. Absent means: what is right. */
export interface BookMischief {
  /** Signed by the ledger key whatever it says. Undefined: no line at all. */
  line?: (honest: Statement) => Statement | Uint8Array | undefined;
  /** A refusal before anything is reserved; undefined goes on honestly. `asked` is filled in honestly. */
  demand?: (asked: PaymentRequired) => PaymentRequired | undefined;
  /** In place of the answer to a raised voucher, which is not taken then; undefined goes on honestly. */
  raise?: (ceiling: bigint) => Response | undefined | Promise<Response | undefined>;
  /** In place of the answer to what became of a request, by its hex. */
  fate?: (id: string, honest: () => Promise<Response>) => Response | Promise<Response>;
  /** In place of anything else. */
  refuse?: () => Response;
  settlement?: (honest: GatewaySettlement) => GatewaySettlement;
}

export const DEPOSIT = 1_000_000_000n;
const NETWORK = 'tvm:-3';

export interface MemoryBooks {
  readonly mischief: BookMischief;
  readonly terms: ChannelTerms;
  readonly channel: Bytes<32>;
  readonly payerKeys: KeyPair;
  readonly settlement: () => GatewaySettlement;
  readonly ledger: AbandonedLedger;
  /** Of the test's channel. */
  readonly account: () => Promise<Account>;
  /** Ceilings that came in, in order. */
  readonly vouchers: bigint[];
  /** Those of them that were shown while an answer ran. */
  readonly raised: bigint[];
  /** `POST /v1/payments/voucher`. */
  readonly raise: (
    body: Uint8Array,
    headers: Readonly<Record<string, string>>,
  ) => Promise<Response>;
  /** `GET /v1/settlements/{id}`. */
  readonly fate: (id: string, headers: Readonly<Record<string, string>>) => Promise<Response>;
  /** Reserves three steps ahead of a METER, as soon as what was signed allows. */
  readonly follow: (meter: Meter) => Promise<void>;
  readonly fund: (change?: Partial<ChainState>) => Promise<void>;
  readonly announce: (body: unknown) => Promise<Response>;
  /** Undefined: admitted. */
  readonly admit: (
    sealed: Uint8Array,
    headers: Readonly<Record<string, string>>,
    workerIds: readonly string[],
  ) => Promise<Response | undefined>;
  /** The answer with its ledger line. */
  readonly settle: (pieces: readonly Uint8Array[]) => Promise<readonly Uint8Array[]>;
  readonly end: () => Promise<void>;
}

/** With one channel, funded and known to the ledger unless `fresh`. */
export async function memoryBooks(
  clock: Clock,
  known: 'funded' | 'fresh' = 'funded',
): Promise<MemoryBooks> {
  const lab = await openLab(LEDGERS[0]);
  const ledger = lab.ledger();
  const payerKeys = generateEd25519();
  const payee = generateEd25519();
  const channel = randomBytes(32);
  const terms: ChannelTerms = {
    network: NETWORK,
    payer: `0:${toHex(randomBytes(32))}`,
    payee: `0:${toHex(randomBytes(32))}`,
    payerKey: payerKeys.publicKey,
    payeeKey: payee.publicKey,
    withdrawDelayS: 86_400,
    salt: 1n,
  };
  const books = build({ lab, ledger, clock, channel, terms, payerKeys });
  if (known === 'funded') await books.fund();
  return books;
}

interface BookParts {
  readonly lab: LedgerLab;
  readonly ledger: AbandonedLedger;
  readonly clock: Clock;
  readonly channel: Bytes<32>;
  readonly terms: ChannelTerms;
  readonly payerKeys: KeyPair;
}

function build(parts: BookParts): MemoryBooks {
  const { lab, ledger, clock, channel, terms, payerKeys } = parts;
  const mischief: BookMischief = {};
  const vouchers: bigint[] = [];
  const raised: bigint[] = [];
  const flights = new Map<string, { readonly maxAmount: bigint; readonly step: number }>();
  let heard = Promise.withResolvers<void>();
  const codeHash = randomBytes(32);
  const account = async (): Promise<Account> => {
    const found = await ledger.findAccount(channel);
    if (found === undefined) throw new Error('no account');
    return found;
  };
  const fund = async (change: Partial<ChainState> = {}): Promise<void> => {
    await ledger.openAccount({
      kind: 'channel',
      id: channel,
      asset: 'TON',
      payerKey: terms.payerKey,
    });
    const zero = amount(0n);
    await ledger.recordChainState({
      channel,
      epoch: 0,
      deposited: amount(DEPOSIT),
      claimed: zero,
      refunded: zero,
      withdrawing: zero,
      blockSeqno: 1,
      ...change,
    });
  };
  const demandOf = (
    code: AdmissionCode | 'asked',
    need: bigint,
    known?: Account,
  ): PaymentRequired => ({
    code,
    network: NETWORK,
    amount: amount(need),
    asset: 'TON',
    payTo: terms.payee,
    maxTimeoutS: 600,
    receiverAuthorizer: terms.payeeKey,
    withdrawDelayS: 86_400,
    codeHash,
    feeBps: 500,
    ...(known && {
      channelState: { channel: known.id, ...known },
      ...(known.voucherSignature && {
        voucherState: {
          epoch: known.epoch,
          ceiling: known.ceiling,
          signature: known.voucherSignature,
        },
      }),
    }),
  });
  /** Everybody's key has an account here, and money in it. */
  const keyed = async (authorization: string): Promise<Pick<Reserve, 'account'>> => {
    const id = sha256(utf8(authorization.replace('Bearer ', '')));
    await ledger.openAccount({ kind: 'custodial', id, asset: 'TON' });
    const credit = { account: id, asset: 'TON', amount: amount(DEPOSIT) } as const;
    await ledger.credit({ ...credit, reference: id, nowMs: clock() });
    return { account: id };
  };
  const assertPass = (headers: Readonly<Record<string, string>>): void => {
    const pass = parsePassUnverified(headers[PASS_HEADER] ?? '');
    const isGood = isPassSigned(pass, channel, terms.payerKey) && endOf(pass.caveats) > clock();
    if (!isGood) throw new Error('a voucher comes with a pass');
  };
  const raise: MemoryBooks['raise'] = async (body, headers) => {
    assertPass(headers);
    const text = z.object({ voucher: z.string() }).parse(parseJson(body, 4096)).voucher;
    const { ceiling } = parseVoucherTextUnverified(text);
    raised.push(ceiling);
    const lie = await mischief.raise?.(ceiling);
    if (lie !== undefined) return lie;
    const { voucher } = voucherOf(text, terms);
    if (voucher === undefined) throw new Error('a raise shows a voucher');
    const taken = await ledger.acceptVoucher(voucher);
    if (taken.outcome === 'refused') return refusedRaise(taken.code);
    heard.resolve();
    heard = Promise.withResolvers<void>();
    return Response.json({});
  };
  const follow: MemoryBooks['follow'] = async ({ msgId, amount: used }) => {
    const { maxAmount = 0n, step = 0 } = flights.get(toHex(msgId)) ?? {};
    const ahead = used + costOfMore(TEST_PRICES, step * STEPS_AHEAD);
    const need = amount(ahead < maxAmount ? ahead : maxAmount);
    for (;;) {
      const next = heard.promise;
      if ((await ledger.extend({ requestId: msgId, need })).outcome === 'extended') return;
      await next;
    }
  };
  const admit: MemoryBooks['admit'] = async (sealed, headers, workerIds) => {
    const { prelude } = parseClearRequest(sealed);
    const chunk = Number(headers['x-vg-chunk'] ?? 0);
    const step = stepTokens(chunk);
    flights.set(toHex(prelude.msgId), { maxAmount: prelude.maxAmount, step });
    const first = ceilingOf(TEST_PRICES, prelude.maxPrompt, tokensAtFirst(chunk));
    const isMetered = chunk > 0 && first < prelude.maxAmount;
    const need = isMetered ? first : prelude.maxAmount;
    const lie = mischief.demand?.(demandOf('asked', need, await ledger.findAccount(channel)));
    const text = headers['x-vg-voucher'];
    if (text !== undefined) assertPass(headers);
    if (text !== undefined) vouchers.push(parseVoucherTextUnverified(text).ceiling);
    if (lie !== undefined) return demandResponse(lie);
    if (mischief.refuse !== undefined) return mischief.refuse();
    const payer =
      text === undefined ? await keyed(headers['authorization'] ?? '') : voucherOf(text, terms);
    const reserved = await ledger.reserve({
      requestId: prelude.msgId,
      ...payer,
      asset: 'TON',
      need: amount(need),
      workers: workerIds.map((id) => fixed(fromHex(id), 32)),
      feeBps: 500,
      quoteValidUntilMs: clock(),
      nowMs: clock(),
      expiresMs: clock() + 60_000,
    });
    if (reserved.outcome === 'reserved') return undefined;
    if (reserved.outcome === 'replayed') throw new Error('the client sends each request once');
    return demandResponse(demandOf(reserved.code, need, reserved.account));
  };
  return {
    mischief,
    terms,
    channel,
    payerKeys,
    ledger,
    account,
    vouchers,
    raised,
    raise,
    fate: async (id, headers) => {
      assertPass(headers);
      voucherOf(headers[VOUCHER_HEADER] ?? '', terms);
      const honest = (): Promise<Response> => fateOf(ledger, channel, id);
      return mischief.fate === undefined ? honest() : mischief.fate(id, honest);
    },
    follow,
    fund,
    settlement: () => {
      const honest: GatewaySettlement = {
        payee: {
          network: NETWORK,
          address: terms.payee,
          key: terms.payeeKey,
          codeHash,
          withdrawDelayMinS: 3600,
          depositMin: 1n,
        },
        feeBps: 500,
        ledgerKeys: [LEDGER_KEY.publicKey],
      };
      return mischief.settlement?.(honest) ?? honest;
    },
    announce: async (body) => {
      const announced = ANNOUNCED_CHANNEL.parse(body);
      if (toHex(announced.channel) !== toHex(channel)) return new Response('', { status: 404 });
      await fund();
      return new Response('', { status: 201 });
    },
    admit,
    settle: async (pieces) => {
      const receiptPiece = pieces.at(-2);
      const final = pieces.at(-1);
      if (receiptPiece === undefined || final === undefined) throw new Error('no receipt');
      // The end of the content may stand before it in the same piece.
      const receipt = parseReceiptUnverified(receiptPiece.subarray(-RECEIPT_BYTES));
      const settled = await ledger.settle({ receipt, policyDigest: POLICY, nowMs: clock() });
      if (settled.outcome !== 'settled') throw new Error(settled.code);
      const line = lineOf(settled.statement, mischief);
      const frames = line === undefined ? [] : [clearFrame(FRAME.ledger, line)];
      return [...pieces.slice(0, -1), ...frames, final];
    },
    end: () => lab.end(),
  };
}

export function refusedRaise(code: string): Response {
  return Response.json(
    { error: { type: 'payment_required', code, message: 'x', param: null } },
    { status: 402 },
  );
}

function voucherOf(text: string, terms: ChannelTerms): Pick<Reserve, 'account' | 'voucher'> {
  const claimed = parseVoucherTextUnverified(text);
  const voucher = verifyVoucher(claimed, terms.payerKey);
  if (voucher === undefined) throw new Error('the client signs what verifies');
  return { account: claimed.channel, voucher };
}

function lineOf(honest: Bytes<230>, { line }: BookMischief): Uint8Array | undefined {
  if (line === undefined) return honest;
  const said = line(parseStatementUnverified(honest).statement);
  if (said === undefined || said instanceof Uint8Array) return said;
  return signStatement(said, statementSigner(LEDGER_KEY.secretKey)).payload;
}

export function demandResponse(demand: PaymentRequired): Response {
  return Response.json(
    { error: { type: 'payment_required', code: demand.code, message: 'x', param: null } },
    { status: 402, headers: { 'payment-required': encodePaymentRequired(demand) } },
  );
}
