/**
 * `PolicyRegistry` from outside: first data, message bodies, answers of its get methods.
 * Spec: ton-settlement §4.9; `policy-registry/*.tolk`.
 * @module
 */

import { beginCell, contractAddress, type Address, type Cell, type TupleReader } from '@ton/core';
import { fixed, type Bytes } from '../../../core/bytes.ts';
import { assert } from '../../../core/errors.ts';
import { POLICY_REGISTRY } from './compiled.ts';
import type { ContractInit } from './pay-channel.ts';

export const REGISTRY_OP = {
  propose: 0x76680001,
  activate: 0x76680002,
  revoke: 0x76680003,
  cancel: 0x76680004,
} as const;

/** Two days, whatever the data says. */
export const REGISTRY_MIN_DELAY_S = 172_800;
/** What an operation must carry at least, in nanoTON; what is left comes back. */
export const REGISTRY_MIN_VALUE = 20_000_000n;

export interface RegistryTerms {
  readonly owner: Address;
  readonly guardian: Address;
  readonly policyDigest: Bytes<32>;
  readonly priceDigest: Bytes<32>;
  /** Less than two days counts as two days. */
  readonly delayS: number;
}

const BASECHAIN = 0;
const DIGEST_BYTES = 32;

export function registryInit(terms: RegistryTerms): ContractInit {
  const { owner, guardian } = terms;
  const isHome = owner.workChain === BASECHAIN && guardian.workChain === BASECHAIN;
  assert(isHome, 'roles of a registry live in workchain 0');
  const roles = beginCell().storeAddress(owner).storeAddress(guardian).endCell();
  const data = beginCell()
    .storeUint(0, 64)
    .storeUint(0, 32)
    .storeBuffer(Buffer.from(terms.policyDigest))
    .storeBuffer(Buffer.from(terms.priceDigest))
    .storeUint(terms.delayS, 32)
    .storeRef(roles)
    .storeBit(0)
    .storeBit(0)
    .storeMaybeRef(null)
    .endCell();
  return { code: POLICY_REGISTRY.code, data };
}

export function registryAddress(terms: RegistryTerms): Address {
  return contractAddress(BASECHAIN, registryInit(terms));
}

/** What may be proposed; the position plus one is the kind on the wire. */
const PROPOSAL_KINDS = ['policy', 'price', 'code-hash', 'owner', 'guardian', 'upgrade'] as const;
export type ProposalKind = (typeof PROPOSAL_KINDS)[number];

export type Proposal =
  | { readonly kind: 'policy'; readonly digest: Bytes<32>; readonly version: number }
  | { readonly kind: 'price' | 'code-hash'; readonly digest: Bytes<32> }
  | { readonly kind: 'owner' | 'guardian'; readonly address: Address }
  | { readonly kind: 'upgrade'; readonly code: Cell };

function digestOf(proposal: Proposal): Uint8Array {
  if (proposal.kind === 'upgrade') return proposal.code.hash();
  if ('digest' in proposal) return proposal.digest;
  assert(proposal.address.workChain === BASECHAIN, 'roles live in workchain 0');
  return proposal.address.hash;
}

export function proposeBody(proposal: Proposal, queryId: bigint): Cell {
  return beginCell()
    .storeUint(REGISTRY_OP.propose, 32)
    .storeUint(queryId, 64)
    .storeUint(PROPOSAL_KINDS.indexOf(proposal.kind) + 1, 8)
    .storeBuffer(Buffer.from(digestOf(proposal)))
    .storeUint(proposal.kind === 'policy' ? proposal.version : 0, 32)
    .storeMaybeRef(proposal.kind === 'upgrade' ? proposal.code : null)
    .endCell();
}

export function activateBody(queryId: bigint): Cell {
  return beginCell().storeUint(REGISTRY_OP.activate, 32).storeUint(queryId, 64).endCell();
}

/** `id`: a measurement, a worker's or gateway's key, or a code hash, all as 32 bytes. At once and for good. */
export function revokeBody(id: Bytes<32>, queryId: bigint): Cell {
  return beginCell()
    .storeUint(REGISTRY_OP.revoke, 32)
    .storeUint(queryId, 64)
    .storeBuffer(Buffer.from(id))
    .endCell();
}

export function cancelProposalBody(queryId: bigint): Cell {
  return beginCell().storeUint(REGISTRY_OP.cancel, 32).storeUint(queryId, 64).endCell();
}

export interface RegistryPolicy {
  readonly seq: bigint;
  readonly version: number;
  readonly policyDigest: Bytes<32>;
  readonly priceDigest: Bytes<32>;
}

/** Reads the answer of `policy`. */
export function decodeRegistryPolicy(stack: TupleReader): RegistryPolicy {
  const policy = {
    seq: stack.readBigNumber(),
    version: stack.readNumber(),
    policyDigest: digestFrom(stack.readBigNumber()),
    priceDigest: digestFrom(stack.readBigNumber()),
  };
  assert(stack.remaining === 0, 'policy: nothing after the prices');
  return policy;
}

export interface PendingProposal {
  readonly kind: ProposalKind;
  readonly digest: Bytes<32>;
  readonly version: number;
  readonly readyAt: number;
}

/** Reads the answer of `pending`; undefined when nothing is. */
export function decodePending(stack: TupleReader): PendingProposal | undefined {
  const wire = stack.readNumber();
  if (wire === 0) return undefined;
  const kind = PROPOSAL_KINDS[wire - 1];
  assert(kind !== undefined, 'pending: kind');
  const digest = digestFrom(stack.readBigNumber());
  return { kind, digest, version: stack.readNumber(), readyAt: stack.readNumber() };
}

/** Argument of `is_revoked` and `code_hash_ok`. */
export function registryId(id: Bytes<32>): bigint {
  return beginCell().storeBuffer(Buffer.from(id)).endCell().beginParse().loadUintBig(256);
}

function digestFrom(value: bigint): Bytes<32> {
  const slice = beginCell().storeUint(value, 256).endCell().beginParse();
  return fixed(Uint8Array.from(slice.loadBuffer(DIGEST_BYTES)), DIGEST_BYTES);
}
