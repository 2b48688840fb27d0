/**
 * Intel's service from the test hierarchy: what stands in `shown` is served under the paths of PCS and PCCS. A PCCS form
 * of the lists is a matter of asking for it. Spec: tdx §10.
 * @module
 */

import type { TdxCollateral } from '../../../attestation/tdx/collateral.ts';
import { toBase64, toHex, utf8 } from '../../../core/bytes.ts';
import { formatInstant } from '../../../core/clock.ts';
import type { Json } from '../../../core/json.ts';
import { signP256 } from '../../../attestation/x509-keys.ts';
import { pemChain } from '../../../enclave-worker/evidence/simulator/simulator.ts';
import type { TestPki } from '../tdx/pki.ts';
import type { Answer, Shelf } from './desk.ts';

export type ListForm = 'der' | 'pem' | 'hex' | 'base64';

export interface IntelShelf {
  readonly shelf: Shelf;
  /** What is served from now on. */
  shown: TdxCollateral;
  listForm: ListForm;
  /** Version 3 of the service had other header names. */
  headers: 'v3' | 'v4';
  numbers: Uint8Array;
}

export const FMSPC = 'c0ffee000000';

const SGX = '/sgx/certification/v4';
const TDX = '/tdx/certification/v4';

export function intelShelf(shown: TdxCollateral): IntelShelf {
  const state: IntelShelf = {
    shown,
    listForm: 'der',
    headers: 'v4',
    numbers: new Uint8Array(),
    shelf: (path) => {
      const [bare] = path.split('?');
      const { shown: now } = state;
      if (path.startsWith(`${TDX}/tcb?fmspc=${FMSPC}`)) {
        const name = state.headers === 'v4' ? 'tcb-info-issuer-chain' : 'sgx-tcb-info-issuer-chain';
        return found(now.tcbInfo, { [name]: encodeURIComponent(now.tcbInfoIssuerChain) });
      }
      if (bare === `${TDX}/qe/identity`) {
        const chain = encodeURIComponent(now.qeIdentityIssuerChain);
        return found(now.qeIdentity, { 'sgx-enclave-identity-issuer-chain': chain });
      }
      if (bare === `${TDX}/tcbevaluationdatanumbers`) {
        const chain = encodeURIComponent(now.tcbInfoIssuerChain);
        return found(state.numbers, { 'tcb-evaluation-data-numbers-issuer-chain': chain });
      }
      if (path.startsWith(`${SGX}/pckcrl?ca=platform`)) {
        const chain = encodeURIComponent(now.pckCrlIssuerChain);
        return found(formed(now.pckCrl, state.listForm), { 'sgx-pck-crl-issuer-chain': chain });
      }
      if (path === '/IntelSGXRootCA.der' || path === `${SGX}/rootcacrl`) {
        return found(formed(now.rootCaCrl, state.listForm), {
          'content-type': 'application/pkix-crl',
        });
      }
      return undefined;
    },
  };
  return state;
}

function found(body: Uint8Array, headers: Answer['headers']): Answer {
  return { status: 200, headers, body };
}

export function formed(der: Uint8Array, form: ListForm): Uint8Array {
  if (form === 'der') return der;
  if (form === 'hex') return utf8(toHex(der));
  const base64 = toBase64(der);
  if (form === 'base64') return utf8(base64);
  const lines = base64.match(/.{1,64}/g) ?? [];
  return utf8(`-----BEGIN X509 CRL-----\n${lines.join('\n')}\n-----END X509 CRL-----\n`);
}

/** Signed like any other document of Intel's. */
export async function numbersDocument(
  pki: TestPki,
  times: { readonly issueMs: number; readonly nextUpdateMs: number },
  numbers: readonly number[],
): Promise<{ readonly body: Uint8Array; readonly chain: string }> {
  const document: Json = {
    id: 'TDX',
    version: 1,
    issueDate: formatInstant(times.issueMs),
    nextUpdate: formatInstant(times.nextUpdateMs),
    tcbEvalNumbers: numbers.map((number) => ({
      tcbEvaluationDataNumber: number,
      tcbRecoveryEventDate: '2025-05-13T00:00:00Z',
      tcbDate: '2025-05-14T00:00:00Z',
    })),
  };
  const text = JSON.stringify(document);
  const signature = toHex(await signP256(pki.tcbSigning.keys.privateKey, utf8(text)));
  return {
    body: utf8(`{"tcbEvaluationDataNumbers":${text},"signature":"${signature}"}`),
    chain: pemChain(pki.sound.tcbSigner, pki.sound.root),
  };
}
