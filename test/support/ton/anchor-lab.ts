/** An anchor and its key: signs heads, right ones and wrong ones. @module */

import { Cell, type Address } from '@ton/core';
import { ed25519PublicKey, signEd25519 } from '#primitives';
import { fixed, type Bytes } from '../../../core/bytes.ts';
import {
  anchorAddress,
  anchorBody,
  anchorInit,
  decodeAnchor,
  encodeHead,
  type AnchorState,
  type AnchorTerms,
  type SignedHead,
} from '../../../settlement/ton/contracts/ledger-anchor.ts';
import { Chain } from './chain.ts';
import { seed, STRANGER, TON } from './channel-lab.ts';

const KEY_SEED = seed(4);
const VALID_S = 60;

export interface HeadWish {
  readonly seq: bigint;
  readonly head: Bytes<32>;
  readonly previous: Bytes<32>;
  readonly signer?: Bytes<32>;
  readonly anchor?: Bytes<32>;
  /** Other than what is signed. */
  readonly sent?: Partial<SignedHead>;
}

export class AnchorLab {
  readonly chain: Chain;
  readonly terms: AnchorTerms;
  readonly address: Address;

  private constructor(chain: Chain, terms: AnchorTerms) {
    this.chain = chain;
    this.terms = terms;
    this.address = anchorAddress(terms);
  }

  static async create(value: bigint = TON): Promise<AnchorLab> {
    const terms = { key: ed25519PublicKey(KEY_SEED), genesis: seed(0) };
    const lab = new AnchorLab(await Chain.create(), terms);
    const message = { from: STRANGER, to: lab.address, value, body: Cell.EMPTY };
    await lab.chain.send({ ...message, init: anchorInit(terms) });
    return lab;
  }

  signed({ seq, head, previous, signer = KEY_SEED, anchor, sent = {} }: HeadWish): Cell {
    const validUntil = this.chain.now + VALID_S;
    const id = anchor ?? fixed(Uint8Array.from(this.address.hash), 32);
    const signature = signEd25519(
      signer,
      encodeHead({ anchor: id, seq, head, previous, validUntil }),
    );
    return anchorBody({ seq, head, validUntil, signature, ...sent });
  }

  async state(): Promise<AnchorState> {
    return decodeAnchor(await this.chain.get(this.address, 'anchor'));
  }

  async balance(): Promise<bigint> {
    return await this.chain.balance(this.address);
  }
}
