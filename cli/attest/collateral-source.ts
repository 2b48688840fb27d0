/**
 * Where missing collateral comes from: the vendors' services, or a collateral bundle that was carried to a site without a
 * way out. Opened when something is missing and not before: whoever brings everything asks nobody.
 * Spec: docs/collateral.md.
 * @module
 */

import { openConfiguredStore, type CollateralParts } from '../../attestation/collateral/compose.ts';
import { COLLATERAL_CONFIG } from '../../attestation/collateral/config.ts';
import type { Endorser } from '../../attestation/collateral/endorser.ts';
import { BUNDLE_MAX_BYTES } from '../../attestation/collateral/limits.ts';
import type { Clock } from '../../core/clock.ts';
import { STORE_PARTS } from '../../core/node/store-parts.ts';
import { readBoundedFile } from '../measure/files.ts';

export interface CollateralSource extends Endorser {
  /** For people. */
  readonly name: string;
  /** What did not go as it should. */
  readonly notes: readonly string[];
  readonly close: () => Promise<void>;
}

export interface SourceOptions {
  /** A collateral bundle, or true for none: no network either way. */
  readonly offline?: string | true;
  /** The instant that is judged, running. */
  readonly clock: Clock;
  /** For tests: whose documents are genuine. */
  readonly roots?: NonNullable<CollateralParts['roots']>;
}

/** Throws `cli.file`, `collateral.bundle`. */
export async function openCollateralSource(options: SourceOptions): Promise<CollateralSource> {
  const { offline, clock, roots } = options;
  const config = COLLATERAL_CONFIG.parse({
    offline: offline !== undefined,
    // A certificate without a list is worth having: that the list is missing is judged like everything else.
    amd: { revocationList: 'if-available' },
  });
  const { store, close } = await openConfiguredStore(config, {
    ...STORE_PARTS,
    now: clock,
    onEvent: () => undefined,
    ...(roots === undefined ? {} : { roots }),
  });
  const endorse: Endorser['endorse'] = (evidence, signal) => store.endorse(evidence, signal);
  if (typeof offline !== 'string') {
    const name = offline === undefined ? 'the vendor’s service' : 'nobody (--offline)';
    return { name, notes: [], endorse, close };
  }
  const bytes = readBoundedFile('collateral bundle', offline, BUNDLE_MAX_BYTES);
  const { refused } = await store.importBundle(bytes);
  const notes = refused.map(
    ({ key, code, reason }) => `${key} of the collateral bundle was refused: ${code} ${reason}`,
  );
  return { name: 'the collateral bundle', notes, endorse, close };
}
