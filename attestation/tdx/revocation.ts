/**
 * The two revocation lists of Intel's hierarchy and what they say about the PCK chain.
 * Spec: Intel SGX PCK Certificate and CRL Profile Specification 1.5, §2.
 * @module
 */

import { judgeRevoked, type JudgedList, type ListCheckIds } from '../pki/revocation.ts';
import type { PckChain } from './chain.ts';
import type { TdxCheckId, TdxCheckSheet } from './check-list.ts';

export type TdxJudgedList = JudgedList<TdxCheckId>;

function listIds(kind: 'rootCrl' | 'pckCrl'): ListCheckIds<TdxCheckId> {
  return {
    format: `${kind}.format`,
    issuer: `${kind}.issuer`,
    signature: `${kind}.signature`,
    freshness: `${kind}.freshness`,
  };
}

export const ROOT_CRL_CHECKS: ListCheckIds<TdxCheckId> = listIds('rootCrl');
export const PCK_CRL_CHECKS: ListCheckIds<TdxCheckId> = listIds('pckCrl');

const CHAIN_REVOCATION = ['pck.revoked', 'pck.intermediateRevoked', 'pck.rootRevoked'] as const;

export function judgeChainRevocation(
  chain: PckChain | undefined,
  lists: { readonly rootCrl: TdxJudgedList; readonly pckCrl: TdxJudgedList },
  context: { readonly sheet: TdxCheckSheet; readonly cause: TdxCheckId },
): void {
  const { sheet } = context;
  if (chain === undefined) {
    sheet.skip(CHAIN_REVOCATION, context.cause);
    return;
  }
  judgeRevoked('pck.revoked', chain.leaf, lists.pckCrl, sheet);
  judgeRevoked('pck.intermediateRevoked', chain.intermediate, lists.rootCrl, sheet);
  judgeRevoked('pck.rootRevoked', chain.root, lists.rootCrl, sheet);
}
