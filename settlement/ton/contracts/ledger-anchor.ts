/**
 * `LedgerAnchor` from outside: first data, the signed external message, the answer of its get method.
 * Spec: ton-settlement §4.9; `ledger-anchor/*.tolk`.
 * @module
 */

import { beginCell, contractAddress, type Address, type Cell, type TupleReader } from '@ton/core';
import { signEd25519 } from '#primitives';
import { ascii, concat, fixed, u32be, u64be, type Bytes } from '../../../core/bytes.ts';
import { assert } from '../../../core/errors.ts';
import { LEDGER_ANCHOR } from './compiled.ts';
import type { ContractInit } from './pay-channel.ts';

const BASECHAIN = 0;
const HEAD_BYTES = 32;

export interface AnchorTerms {
  /** Signs heads. */
  readonly key: Bytes<32>;
  /** Head of the journal before its first entry; an anchor of another ledger begins elsewhere. */
  readonly genesis: Bytes<32>;
}

export function anchorInit({ key, genesis }: AnchorTerms): ContractInit {
  const data = beginCell()
    .storeBuffer(Buffer.from(key))
    .storeUint(0, 64)
    .storeBuffer(Buffer.from(genesis))
    .endCell();
  return { code: LEDGER_ANCHOR.code, data };
}

export function anchorAddress(terms: AnchorTerms): Address {
  return contractAddress(BASECHAIN, anchorInit(terms));
}

export interface HeadTerms {
  /** Account id of the anchor. */
  readonly anchor: Bytes<32>;
  readonly seq: bigint;
  readonly head: Bytes<32>;
  /** The head that stands there now. */
  readonly previous: Bytes<32>;
  readonly validUntil: number;
}

/** VGH1: 80 bytes, signed by the anchor's key. */
export function encodeHead({ anchor, seq, head, previous, validUntil }: HeadTerms): Uint8Array {
  const difference = head.map((byte, at) => byte ^ (previous[at] ?? 0));
  return concat(ascii('VGH1'), u64be(seq), difference, u32be(validUntil), anchor);
}

export function signHead(secretKey: Bytes<32>, terms: HeadTerms): Bytes<64> {
  return signEd25519(secretKey, encodeHead(terms));
}

export interface SignedHead {
  readonly seq: bigint;
  readonly head: Bytes<32>;
  readonly validUntil: number;
  readonly signature: Bytes<64>;
}

export function anchorBody({ seq, head, validUntil, signature }: SignedHead): Cell {
  return beginCell()
    .storeUint(seq, 64)
    .storeBuffer(Buffer.from(head))
    .storeUint(validUntil, 32)
    .storeBuffer(Buffer.from(signature))
    .endCell();
}

export interface AnchorState {
  readonly seq: bigint;
  readonly head: Bytes<32>;
  readonly key: Bytes<32>;
}

/** Reads the answer of `anchor`. */
export function decodeAnchor(stack: TupleReader): AnchorState {
  const state = {
    seq: stack.readBigNumber(),
    head: bytesOf(stack.readBigNumber()),
    key: bytesOf(stack.readBigNumber()),
  };
  assert(stack.remaining === 0, 'anchor: nothing after the key');
  return state;
}

/** Reads an anchor's data itself: unlike the answer of a get method it is of a block that is known. */
export function decodeAnchorData(data: Cell): AnchorState {
  const slice = data.beginParse();
  const key = fixed(Uint8Array.from(slice.loadBuffer(HEAD_BYTES)), HEAD_BYTES);
  const seq = slice.loadUintBig(64);
  return { seq, head: fixed(Uint8Array.from(slice.loadBuffer(HEAD_BYTES)), HEAD_BYTES), key };
}

function bytesOf(value: bigint): Bytes<32> {
  const slice = beginCell().storeUint(value, 256).endCell().beginParse();
  return fixed(Uint8Array.from(slice.loadBuffer(HEAD_BYTES)), HEAD_BYTES);
}
