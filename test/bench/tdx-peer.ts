/**
 * The npm peer of TDX verification, measured when somebody installed it; it is no dependency of ours. It checks less:
 * no signatures of revocation lists, no module identity.
 * @module
 */

import { z } from 'zod';
import type { TdxVerifyInput } from '../../attestation/tdx/verify.ts';
import { toHex } from '../../core/bytes.ts';
import { timingOf, type Timing } from './measure.ts';

const PEER = '@phala/dcap-qvl';
const ITERATIONS = 60;

type PeerVerify = (quote: Uint8Array, collateral: object, nowSeconds: number) => unknown;
const PEER_MODULE = z.object({
  verify: z.custom<PeerVerify>((value) => typeof value === 'function'),
});

export interface PeerTiming extends Timing {
  readonly name: string;
}

/** A sentence when there is nothing to measure. */
export async function measurePeer(input: TdxVerifyInput): Promise<PeerTiming | string> {
  const verify = await loadPeer();
  if (verify === undefined) return `${PEER} is not installed: no peer to compare with`;
  const collateral = peerCollateral(input.collateral);
  const samplesUs: number[] = [];
  try {
    for (let i = 0; i < ITERATIONS; i++) {
      const startedMs = performance.now();
      verify(Buffer.from(input.quote), collateral, input.nowMs / 1000);
      samplesUs.push((performance.now() - startedMs) * 1000);
    }
  } catch (error) {
    return `${PEER} refused the quote: ${error instanceof Error ? error.message : 'unknown'}`;
  }
  return { name: PEER, ...timingOf(samplesUs) };
}

async function loadPeer(): Promise<PeerVerify | undefined> {
  try {
    // A variable, so that neither the type check nor the resolver looks for what is not installed.
    const name: string = PEER;
    const module: unknown = await import(name);
    return PEER_MODULE.parse(module).verify;
  } catch {
    // Not there, or not of the known form: the caller says so.
    return undefined;
  }
}

function peerCollateral(collateral: TdxVerifyInput['collateral']): object {
  const tcbInfo = signedParts(collateral.tcbInfo, 'tcbInfo');
  const qeIdentity = signedParts(collateral.qeIdentity, 'enclaveIdentity');
  return {
    pck_crl_issuer_chain: collateral.pckCrlIssuerChain,
    root_ca_crl: toHex(collateral.rootCaCrl),
    pck_crl: toHex(collateral.pckCrl),
    tcb_info_issuer_chain: collateral.tcbInfoIssuerChain,
    tcb_info: tcbInfo.text,
    tcb_info_signature: tcbInfo.signature,
    qe_identity_issuer_chain: collateral.qeIdentityIssuerChain,
    qe_identity: qeIdentity.text,
    qe_identity_signature: qeIdentity.signature,
  };
}

function signedParts(body: Uint8Array, member: string): { text: string; signature: string } {
  const whole = new TextDecoder().decode(body);
  const start = whole.indexOf(`"${member}":`) + member.length + 3;
  const end = whole.lastIndexOf(',"signature"');
  const signature = /"signature":"([0-9a-fA-F]+)"/.exec(whole.slice(end))?.[1] ?? '';
  return { text: whole.slice(start, end), signature };
}
