/**
 * What only a devnet can do, under `/devnet/`: coins, time, blocks, snapshots, faults. To add one: write it, add its line
 * to ROUTES. Spec: ton-settlement §6.
 * @module
 */

import { Address } from '@ton/core';
import { z } from 'zod';
import type { DevnetChain } from './chain.ts';
import { devnetError } from './errors.ts';
import { FAULT, type Faults } from './faults.ts';
import { DEPTH_MAX, FAUCET_MAX_NANOTON, MINE_MAX, TIME_STEP_MAX_S } from './limits.ts';

export interface ControlContext {
  readonly chain: DevnetChain;
  readonly faults: Faults;
}

interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  /** Throws `devnet.*`. */
  answer(context: ControlContext, body: unknown): unknown;
}

function route<Schema extends z.ZodType>(
  place: Pick<Route, 'method' | 'path'>,
  body: Schema,
  answer: (context: ControlContext, body: z.output<Schema>) => unknown,
): Route {
  return {
    ...place,
    answer: (context, given) => {
      const decoded = body.safeParse(given);
      if (decoded.success) return answer(context, decoded.data);
      const path = decoded.error.issues[0]?.path.map(String).join('.') ?? '';
      throw devnetError('devnet.request', path === '' ? 'body' : path);
    },
  };
}

const NOTHING = z.unknown();
const NAME = z.strictObject({ name: z.string().regex(/^[a-z0-9-]{1,32}$/) });

const ROUTES: readonly Route[] = [
  route({ method: 'GET', path: '/devnet/status' }, NOTHING, status),
  route(
    { method: 'POST', path: '/devnet/faucet' },
    z.strictObject({
      address: z.string().max(70),
      nanoton: z
        .string()
        .regex(/^[1-9]\d{0,18}$/)
        .transform(BigInt)
        .refine((amount) => amount <= FAUCET_MAX_NANOTON),
    }),
    async (context, { address, nanoton }) => {
      await context.chain.faucet(addressOf(address), nanoton);
      return status(context);
    },
  ),
  route({ method: 'GET', path: '/devnet/time' }, NOTHING, ({ chain }) => ({ nowS: chain.timeS() })),
  route(
    { method: 'POST', path: '/devnet/time' },
    z.strictObject({ forwardS: z.int().min(0).max(TIME_STEP_MAX_S) }),
    async ({ chain }, { forwardS }) => ({ nowS: await chain.forward(forwardS) }),
  ),
  route(
    { method: 'POST', path: '/devnet/mine' },
    z.strictObject({ blocks: z.int().min(1).max(MINE_MAX) }),
    async (context, { blocks }) => {
      await context.chain.mine(blocks);
      return status(context);
    },
  ),
  route(
    { method: 'POST', path: '/devnet/reorg' },
    z.strictObject({
      blocks: z.int().min(1).max(DEPTH_MAX),
      messages: z.enum(['lost', 'again']).default('lost'),
    }),
    async (context, { blocks, messages }) => {
      await context.chain.reorganise(blocks, messages);
      return status(context);
    },
  ),
  route({ method: 'POST', path: '/devnet/snapshot' }, NAME, async (context, { name }) => {
    await context.chain.snapshot(name);
    return status(context);
  }),
  route({ method: 'POST', path: '/devnet/restore' }, NAME, async (context, { name }) => {
    await context.chain.restore(name);
    return status(context);
  }),
  route({ method: 'GET', path: '/devnet/faults' }, NOTHING, listFaults),
  route({ method: 'POST', path: '/devnet/faults' }, FAULT, (context, fault) => {
    // A lie about no account would never be told.
    if (fault.kind === 'balance') addressOf(fault.address);
    context.faults.add(fault);
    return listFaults(context);
  }),
  route({ method: 'DELETE', path: '/devnet/faults' }, NOTHING, (context) => {
    context.faults.clear();
    return listFaults(context);
  }),
];

/** Throws `devnet.unknown`. */
export function findRoute(method: string, path: string): Route {
  const found = ROUTES.find((known) => known.method === method && known.path === path);
  if (found === undefined) throw devnetError('devnet.unknown', 'no such path');
  return found;
}

function status({ chain }: ControlContext) {
  return {
    network: chain.network.name,
    globalId: chain.network.globalId,
    seqno: chain.headSeqno(),
    nowS: chain.timeS(),
  };
}

function listFaults({ faults }: ControlContext) {
  return { faults: faults.list() };
}

function addressOf(text: string): Address {
  try {
    return Address.parse(text);
  } catch (cause) {
    throw devnetError('devnet.request', 'address', { cause });
  }
}
