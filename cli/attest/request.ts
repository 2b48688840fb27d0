/** What the user asked, decoded: the options of the three commands. @module */

import { InvalidArgumentError, type Command } from 'commander';
import { fixed, fromHex, type Bytes } from '../../core/bytes.ts';
import { parseInstant } from '../../core/clock.ts';

/** Paths unless said otherwise. Absent options stay absent. */
export interface AttestOptions {
  readonly policy?: string;
  /** Unix ms. */
  readonly at?: number;
  readonly aud?: string;
  readonly challenge?: Bytes<32>;
  readonly reportData?: Bytes<64>;
  readonly collateral?: string;
  readonly vek?: string;
  readonly ask?: string;
  readonly ark?: string;
  readonly crl?: string;
  readonly root?: string;
  /** A collateral bundle, or true without one: nothing is fetched. */
  readonly offline?: string | true;
  /** A model's name, for gateways. */
  readonly model?: string;
  readonly json?: true;
}

export type AttestCommand = 'verify' | 'inspect' | 'explain';

export interface AttestRequest {
  readonly command: AttestCommand;
  /** A path, `-`, or a URL. */
  readonly input: string;
  readonly options: AttestOptions;
}

const AUDIENCE_FORM = /^[\x21-\x7e]{1,256}$/;

/** For commander. */
export function instantOption(text: string): number {
  const ms = parseInstant(text);
  if (ms === undefined)
    throw new InvalidArgumentError('want an instant such as 2026-06-15T12:00:00Z');
  return ms;
}

function hexOf<N extends number>(size: N): (text: string) => Bytes<N> {
  return (text) => {
    if (new RegExp(`^[0-9a-fA-F]{${2 * size}}$`).test(text)) return fixed(fromHex(text), size);
    throw new InvalidArgumentError(`want ${size} bytes, that is ${2 * size} hex digits`);
  };
}

function audience(text: string): string {
  if (AUDIENCE_FORM.test(text)) return text;
  throw new InvalidArgumentError('want the identity of a gateway, such as gw1.…');
}

/** The same for all three: what is verified, what is shown and what is explained must not differ. */
export function addAttestOptions(command: Command): Command {
  return command
    .argument('<input>', 'a file, - for standard input, or the URL of a gateway')
    .option(
      '--policy <path>',
      'judge a bundle under this policy, a file or a directory; without one none is applied',
    )
    .option(
      '--at <instant>',
      'judge as of this instant (RFC 3339, UTC) instead of now',
      instantOption,
    )
    .option('--aud <identity>', 'gateway that the statement must be made for (gw1.…)', audience)
    .option('--challenge <hex>', 'challenge that the statement must answer, 32 bytes', hexOf(32))
    .option('--report-data <hex>', 'what a bare quote or report must contain, 64 bytes', hexOf(64))
    .option('--collateral <file>', 'TDX: collateral as JSON, as in a bundle’s endorsements')
    .option('--vek <file>', 'SEV-SNP: VCEK or VLEK, DER or PEM')
    .option('--ask <file>', 'SEV-SNP: ASK or ASVK, DER or PEM (AMD’s own are built in)')
    .option('--ark <file>', 'SEV-SNP: ARK, DER or PEM; never an anchor')
    .option('--crl <file>', 'SEV-SNP: revocation list of the ARK, DER or PEM')
    .option('--root <file>', 'trust this development root too; what ends in it is simulated')
    .option(
      '--offline [bundle]',
      'fetch no collateral; take what is missing from this collateral bundle, if one is named',
    )
    .option('--model <name>', 'gateway: only the workers of this model')
    .option('--json', 'one line of JSON');
}
