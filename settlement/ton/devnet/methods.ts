/**
 * The methods of toncenter v2 that clients of ours and `TonClient` call. To add one: write it, add its line to METHODS.
 * Spec: ton-settlement §6, table of methods.
 * @module
 */

import { Address, beginCell, storeMessage, type Cell } from '@ton/core';
import { z } from 'zod';
import { NETWORKS } from '../network.ts';
import { externalOf, type DevnetChain } from './chain.ts';
import { devnetError } from './errors.ts';
import type { Faults } from './faults.ts';
import { messageKey, type StoredTransaction } from './history.ts';
import { MESSAGE_MAX_BYTES, PAGE_MAX, REQUEST_MAX_BYTES } from './limits.ts';
import { accountShape, blockIdShape, feesShape, WHOLE_SHARD } from './shapes.ts';
import { decodeCell, decodeStack, encodeStack, STACK } from './stack.ts';

export interface MethodContext {
  readonly chain: DevnetChain;
  readonly faults: Faults;
}

interface Method {
  readonly name: string;
  /** Throws `devnet.*`. */
  answer(context: MethodContext, params: unknown): unknown;
}

function method<Schema extends z.ZodType>(
  name: string,
  params: Schema,
  answer: (context: MethodContext, params: z.output<Schema>) => unknown,
): Method {
  return {
    name,
    answer: (context, given) => {
      const decoded = params.safeParse(given);
      if (decoded.success) return answer(context, decoded.data);
      const path = decoded.error.issues[0]?.path.map(String).join('.') ?? '';
      throw devnetError('devnet.request', `${name}: ${path === '' ? 'params' : path}`);
    },
  };
}

const ADDRESS = z
  .string()
  .max(70)
  .transform((text, context) => {
    try {
      return Address.parse(text);
    } catch {
      context.addIssue({ code: 'custom' });
      return z.NEVER;
    }
  });
const LT = z
  .union([z.string().regex(/^\d{1,20}$/), z.int().min(0)])
  .transform((value) => BigInt(value));
const SEQNO = z.int().min(0).max(0xffff_ffff);
const BOC = z.base64().max(REQUEST_MAX_BYTES);
/** Hexadecimal, base64 or base64url, as toncenter takes them. */
const HASH = z
  .string()
  .regex(/^(?:[0-9a-fA-F]{64}|[A-Za-z0-9+/_-]{43}=?)$/)
  .transform((text) => Buffer.from(text, text.length === 64 ? 'hex' : 'base64').toString('base64'));
const WORKCHAIN = z.union([z.literal(-1), z.literal(0)]);
const BLOCK = { workchain: WORKCHAIN, shard: z.union([z.string(), z.number()]), seqno: SEQNO };
const LOCATE = z.object({ source: ADDRESS, destination: ADDRESS, created_lt: LT });
const NAME = z.union([z.string().min(1).max(128), z.int().min(0).max(0xffff_ffff)]);

const METHODS: readonly Method[] = [
  method('getAddressInformation', z.object({ address: ADDRESS }), getAddressInformation),
  method('runGetMethod', z.object({ address: ADDRESS, method: NAME, stack: STACK }), runGetMethod),
  method('sendBoc', z.object({ boc: BOC }), sendBoc),
  method(
    'getTransactions',
    z.object({
      address: ADDRESS,
      limit: z
        .int()
        .min(1)
        .max(PAGE_MAX + 1)
        .default(10),
      lt: LT.optional(),
      hash: HASH.optional(),
      to_lt: LT.optional(),
      archival: z.boolean().optional(),
    }),
    getTransactions,
  ),
  method('getMasterchainInfo', z.object({}), getMasterchainInfo),
  method('shards', z.object({ seqno: SEQNO }), shards),
  method('getBlockTransactions', z.object(BLOCK), getBlockTransactions),
  method(
    'estimateFee',
    z.object({
      address: ADDRESS,
      body: BOC,
      init_code: BOC.default(''),
      init_data: BOC.default(''),
      ignore_chksig: z.boolean().default(true),
    }),
    estimateFee,
  ),
  method('tryLocateResultTx', LOCATE, ({ chain }, { source, destination, created_lt: lt }) =>
    located(chain.history.byMessageIn(keyOf(source, destination, lt))),
  ),
  method('tryLocateSourceTx', LOCATE, ({ chain }, { source, destination, created_lt: lt }) =>
    located(chain.history.byMessageOut(keyOf(source, destination, lt))),
  ),
];

export function findMethod(name: string): Method | undefined {
  return METHODS.find((known) => known.name === name);
}

/** How far behind the head this call is answered from, and the number of the block that is its head. */
function placeOf({ chain, faults }: MethodContext, name: string): { depth: number; seqno: number } {
  const depth = Math.min(faults.take('stale', name)?.blocks ?? 0, chain.headSeqno() - 1);
  return { depth, seqno: chain.headSeqno() - depth };
}

function getAddressInformation(context: MethodContext, { address }: { readonly address: Address }) {
  const { chain, faults } = context;
  const { depth, seqno } = placeOf(context, 'getAddressInformation');
  const found = chain.account(address, depth);
  const lie = faults.take('balance', 'getAddressInformation', (fault) =>
    Address.parse(fault.address).equals(address),
  );
  const balance = found?.account?.storage.balance.coins ?? 0n;
  return {
    ...accountShape(found, lie === undefined ? balance : BigInt(lie.nanoton)),
    block_id: blockIdShape(chain.blockId(seqno, -1)),
    sync_utime: chain.blockTimeS(seqno),
  };
}

async function runGetMethod(
  context: MethodContext,
  call: {
    readonly address: Address;
    readonly method: string | number;
    readonly stack: z.output<typeof STACK>;
  },
) {
  const { depth, seqno } = placeOf(context, 'runGetMethod');
  const answer = await context.chain.runGetMethod(call.address, {
    method: call.method,
    stack: decodeStack(call.stack),
    depth,
  });
  return {
    '@type': 'smc.runResult',
    gas_used: Number(answer.gasUsed),
    exit_code: answer.exitCode,
    stack: encodeStack(answer.stack),
    block_id: blockIdShape(context.chain.blockId(seqno, -1)),
  };
}

async function sendBoc({ chain, faults }: MethodContext, { boc }: { readonly boc: string }) {
  const cell = messageOf(boc);
  if (faults.take('drop', 'sendBoc') !== undefined) return { '@type': 'ok' };
  const holdBlocks = faults.take('hold', 'sendBoc')?.blocks ?? 0;
  const isTwice = faults.take('duplicate', 'sendBoc') !== undefined;
  await chain.submit(cell, { holdBlocks });
  // What becomes of the copy is the contract's affair.
  if (isTwice) await chain.submit(cell, { holdBlocks }).catch(() => undefined);
  return { '@type': 'ok' };
}

function messageOf(boc: string): Cell {
  if (Buffer.byteLength(boc, 'base64') > MESSAGE_MAX_BYTES) {
    throw devnetError('devnet.message', `more than ${MESSAGE_MAX_BYTES} bytes`);
  }
  return decodeCell(boc, 'boc');
}

function getTransactions(
  context: MethodContext,
  page: {
    readonly address: Address;
    readonly limit: number;
    readonly lt?: bigint | undefined;
    readonly hash?: string | undefined;
    readonly to_lt?: bigint | undefined;
  },
) {
  const { seqno } = placeOf(context, 'getTransactions');
  const found = context.chain.history.ofAccount(page.address.toRawString(), {
    limit: page.limit,
    seqnoMax: seqno,
    ...(page.lt === undefined
      ? {}
      : { from: { lt: page.lt, ...(page.hash === undefined ? {} : { hash: page.hash }) } }),
    ...(page.to_lt === undefined ? {} : { afterLt: page.to_lt }),
  });
  return found.map(({ shape }) => shape);
}

function getMasterchainInfo(context: MethodContext) {
  const { chain, faults } = context;
  const { seqno } = placeOf(context, 'getMasterchainInfo');
  const last = blockIdShape(chain.blockId(seqno, -1));
  const lie = faults.take('network', 'getMasterchainInfo');
  const network = NETWORKS.find(({ name }) => name === lie?.name) ?? chain.network;
  return {
    '@type': 'blocks.masterchainInfo',
    last,
    state_root_hash: last.root_hash,
    init: {
      '@type': 'ton.blockIdExt',
      workchain: -1,
      shard: '0',
      seqno: 0,
      root_hash: network.zeroState.rootHash,
      file_hash: network.zeroState.fileHash,
    },
  };
}

function shards({ chain }: MethodContext, { seqno }: { readonly seqno: number }) {
  return { '@type': 'blocks.shards', shards: [blockIdShape(chain.blockId(seqno, 0))] };
}

function getBlockTransactions(
  { chain }: MethodContext,
  block: {
    readonly workchain: -1 | 0;
    readonly shard: string | number;
    readonly seqno: number;
  },
) {
  if (typeof block.shard === 'string' && block.shard !== WHOLE_SHARD) {
    throw devnetError('devnet.unknown', 'no such shard');
  }
  const transactions = chain.blockTransactions(block.seqno, block.workchain);
  return {
    '@type': 'blocks.transactions',
    id: blockIdShape(chain.blockId(block.seqno, block.workchain)),
    req_count: transactions.length,
    incomplete: false,
    transactions: transactions.map(({ account, lt, hash }) => ({
      '@type': 'blocks.shortTxId',
      mode: 135,
      account,
      lt: lt.toString(),
      hash,
    })),
  };
}

async function estimateFee(
  { chain }: MethodContext,
  asked: {
    readonly address: Address;
    readonly body: string;
    readonly init_code: string;
    readonly init_data: string;
    readonly ignore_chksig: boolean;
  },
) {
  const { init_code: code, init_data: data } = asked;
  const init =
    code === '' || data === ''
      ? null
      : { code: decodeCell(code, 'init_code'), data: decodeCell(data, 'init_data') };
  const message = beginCell()
    .store(
      storeMessage({
        info: { type: 'external-in', dest: asked.address, src: null, importFee: 0n },
        init,
        body: decodeCell(asked.body, 'body'),
      }),
    )
    .endCell();
  return feesShape(await chain.trial(externalOf(message), asked.ignore_chksig));
}

function keyOf(source: Address, destination: Address, lt: bigint): string {
  return messageKey(source.toRawString(), destination.toRawString(), lt);
}

function located(found: StoredTransaction | undefined) {
  if (found === undefined) throw devnetError('devnet.unknown', 'no such transaction');
  return found.shape;
}
