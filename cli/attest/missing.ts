/**
 * What a piece of evidence came without. A check that fails for that reason alone says nothing against the machine: it
 * says that there is nothing to judge it by.
 * @module
 */

import { attempt } from '../../attestation/attempt.ts';
import { parseTdxQuote, PCK_CHAIN_PEM } from '../../attestation/tdx/quote.ts';
import type { Check } from '../../attestation/verdict.ts';
import type { SnpMachine, TdxMachine } from './subject.ts';

export interface MissingPart {
  readonly name: string;
  /** The option that hands it over. */
  readonly option: string;
  /** Checks that fail because of it: complete ids, or beginnings that end in a dot. */
  readonly checks: readonly string[];
}

export function missingOfTdx({ quote, collateral }: TdxMachine): readonly MissingPart[] {
  const option = '--collateral';
  const parts: readonly (readonly [isThere: boolean, name: string, checks: readonly string[]])[] = [
    [collateral.tcbInfo.length > 0, 'TCB info', ['tcbInfo.']],
    [collateral.tcbInfoIssuerChain !== '', 'issuer chain of the TCB info', ['tcbInfo.chain']],
    [collateral.qeIdentity.length > 0, 'QE identity', ['qeIdentity.']],
    [
      collateral.qeIdentityIssuerChain !== '',
      'issuer chain of the QE identity',
      ['qeIdentity.chain'],
    ],
    [collateral.pckCrl.length > 0, 'revocation list of the PCK CA', ['pckCrl.']],
    [collateral.rootCaCrl.length > 0, 'revocation list of Intel’s root', ['rootCrl.']],
    [
      carriesChain(quote) || collateral.pckCertChain !== undefined,
      'PCK certificate chain (the quote carries none)',
      ['pck.chain'],
    ],
  ];
  return parts
    .filter(([isThere]) => !isThere)
    .map(([, name, checks]) => ({ name, option, checks }));
}

/** An unreadable quote is no missing chain. */
function carriesChain(quote: Uint8Array): boolean {
  const read = attempt(() => parseTdxQuote(quote));
  return read.outcome === 'malformed' || read.value.certificationType === PCK_CHAIN_PEM;
}

/** By the checks: the certificate table counts as handed over when it could be read. */
export function missingOfSnp(
  { endorsements }: SnpMachine,
  checks: readonly Check[],
): readonly MissingPart[] {
  const failed = (id: string): boolean =>
    checks.some((check) => check.id === id && check.outcome === 'fail');
  return [
    ...(endorsements.vek === undefined && failed('vek.present')
      ? [
          {
            name: 'certificate of the signing key (VCEK or VLEK)',
            option: '--vek',
            checks: ['vek.present'],
          },
        ]
      : []),
    ...(endorsements.crl === undefined && failed('crl.present')
      ? [{ name: 'revocation list of AMD’s root', option: '--crl', checks: ['crl.present'] }]
      : []),
  ];
}

/** Whether this check fails because of a missing part. */
export function isMissing(id: string, missing: readonly MissingPart[]): boolean {
  return missing.some(({ checks }) =>
    checks.some((check) => (check.endsWith('.') ? id.startsWith(check) : id === check)),
  );
}
