/**
 * What a TDX quote says to ask for: FMSPC and CA, out of a PCK chain that ends in the pinned root. So nobody without a
 * certificate of Intel's decides what is fetched; that the quote is that machine's is not judged here.
 * Spec: tdx §1.4, §1.5.
 * @module
 */

import { equalPublic } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import type { Certificate } from '../pki/certificate.ts';
import { linkFault } from '../pki/chain.ts';
import type { TdxCollateral } from '../tdx/collateral.ts';
import { readPckExtension } from '../tdx/pck-extension.ts';
import { parseTdxQuote } from '../tdx/quote.ts';
import { CertificateReader, chainSource, readPckChain } from '../tdx/read.ts';
import { collateralError } from './errors.ts';
import { PCK_CA_NAMES } from './intel-judge.ts';
import type { PckCa } from './items.ts';
import { pemOf } from './text-forms.ts';

export interface TdxQuestion {
  readonly fmspc: string;
  readonly ca: PckCa;
  /** PEM: the CA and the root, as the issuer chain of the CA's list. */
  readonly caChain: string;
}

/** Throws `collateral.evidence`. */
export function questionOfTdxQuote(
  quote: Uint8Array,
  offered: TdxCollateral | undefined,
  root: Certificate,
): TdxQuestion {
  try {
    const [leaf, intermediate] = pckChainOf(quote, offered, root);
    const ca = caOf(intermediate);
    if (ca === undefined) throw noQuestion('PCK CA');
    const { fmspc } = readPckExtension(leaf);
    return { fmspc, ca, caChain: pemOf(intermediate.der, root.der) };
  } catch (cause) {
    if (!(cause instanceof VeilError) || cause.code === 'internal.invariant') throw cause;
    throw cause.code === 'collateral.evidence' ? cause : noQuestion(cause.code, cause);
  }
}

/** Leaf and CA, each signed by the next. */
function pckChainOf(
  quote: Uint8Array,
  offered: TdxCollateral | undefined,
  root: Certificate,
): readonly [Certificate, Certificate] {
  const source = chainSource(parseTdxQuote(quote), offered ?? {});
  const read = readPckChain(source, new CertificateReader(() => undefined)).certificates;
  if (read.outcome === 'malformed') throw noQuestion('PCK chain');
  const [leaf, intermediate, last, ...more] = read.value;
  if (leaf === undefined || intermediate === undefined || last === undefined || more.length > 0) {
    throw noQuestion('PCK chain');
  }
  const fault =
    linkFault(leaf, intermediate, 'leaf') ?? linkFault(intermediate, root, 'intermediate');
  if (!equalPublic(last.der, root.der) || fault !== undefined) throw noQuestion('PCK root');
  return [leaf, intermediate];
}

function caOf({ commonName, isCa }: Certificate): PckCa | undefined {
  if (!isCa) return undefined;
  if (commonName === PCK_CA_NAMES.platform) return 'platform';
  return commonName === PCK_CA_NAMES.processor ? 'processor' : undefined;
}

function noQuestion(reason: string, cause?: unknown): VeilError {
  return collateralError('collateral.evidence', reason, { facts: { reason }, cause });
}
