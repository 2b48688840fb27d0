/**
 * AMD's key distribution service from a test hierarchy: certificates of chips, chains and lists under KDS's paths.
 * Spec: sev-snp §2.3.
 * @module
 */

import type { SnpEndorsements } from '../../../attestation/snp/endorsements.ts';
import { pemOf } from '../../../attestation/collateral/text-forms.ts';
import { toHex, utf8 } from '../../../core/bytes.ts';
import { PRODUCTS } from '../snp/pki.ts';
import type { Answer, Shelf } from './desk.ts';

export interface AmdShelf {
  readonly shelf: Shelf;
  /** What is served from now on. */
  shown: Required<SnpEndorsements>;
}

/** One product and one chip: that of the sound test case. */
export function amdShelf(
  product: keyof typeof PRODUCTS,
  shown: Required<SnpEndorsements>,
  signer: 'vcek' | 'vlek' = 'vcek',
): AmdShelf {
  const { hwId, tcb } = PRODUCTS[product];
  const svns = {
    ...(tcb.fmc === undefined ? {} : { fmcSPL: tcb.fmc }),
    blSPL: tcb.bootloader,
    teeSPL: tcb.tee,
    snpSPL: tcb.snp,
    ucodeSPL: tcb.microcode,
  };
  const query = Object.entries(svns)
    .map(([name, svn]) => `${name}=${String(svn).padStart(2, '0')}`)
    .join('&');
  const state: AmdShelf = {
    shown,
    shelf: (path) => {
      const now = state.shown;
      if (path === `/vcek/v1/${product}/${toHex(hwId)}?${query}`) return found(now.vek);
      if (path === `/${signer}/v1/${product}/crl`) return found(now.crl);
      if (path !== `/${signer}/v1/${product}/cert_chain`) return undefined;
      return found(utf8(pemOf(now.intermediate, now.root)));
    },
  };
  return state;
}

function found(body: Uint8Array): Answer {
  return { status: 200, headers: {}, body };
}
