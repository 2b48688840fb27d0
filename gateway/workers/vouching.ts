/**
 * What the gateway's own store of collateral says to an admitted worker's endorsements: the newest lists and documents it
 * knows take the place of older ones, so that nobody comes in by showing the world from before a revocation. Asked only
 * about evidence that was admitted already: a stranger cannot make the gateway fetch anything.
 * Spec: tdx §10 "Cache rules"; sev-snp §8 "KDS client"; docs/collateral.md.
 * @module
 */

import { join } from 'node:path';
import type { CollateralConfig } from '../../attestation/collateral/config.ts';
import { openConfiguredStore } from '../../attestation/collateral/compose.ts';
import type { Endorser } from '../../attestation/collateral/endorser.ts';
import type { CollateralEvent, OnCollateralEvent } from '../../attestation/collateral/events.ts';
import { withEndorsements, type EvidenceBundle } from '../../attestation/evidence.ts';
import type { AttestedKey } from '../../attestation/verdict.ts';
import type { Clock } from '../../core/clock.ts';
import { VeilError } from '../../core/errors.ts';
import type { Lifecycle } from '../../core/node/lifecycle.ts';
import { STORE_PARTS } from '../../core/node/store-parts.ts';
import { registrationError } from '../errors.ts';
import type { GatewayLog } from '../events.ts';
import { VOUCH_TIMEOUT_MS } from '../limits.ts';

export interface Vouching {
  /** Whether there is a vendor to ask about this machine. */
  readonly covers: (key: Pick<AttestedKey, 'simulated'>) => boolean;
  /** Rises with every first and every newer list or document: what was vouched for before deserves another look. */
  readonly revision: () => number;
  /** The same evidence with the newest collateral. Throws `registration.collateral`. */
  readonly vouch: (bundle: EvidenceBundle, signal: AbortSignal) => Promise<EvidenceBundle>;
}

export interface VouchingInput {
  readonly config: CollateralConfig;
  readonly dataDir: string;
  /** Vendors know nothing of simulated machines. */
  readonly isDevelopment: boolean;
  readonly clock: Clock;
  readonly log: GatewayLog;
  readonly lifecycle: Lifecycle;
}

/** Undefined where only simulated machines come in. */
export async function openVouching(input: VouchingInput): Promise<Vouching | undefined> {
  const { config, dataDir, isDevelopment, clock, log, lifecycle } = input;
  if (isDevelopment) return undefined;
  const news = newsOf(log);
  const { store, close } = await openConfiguredStore(
    { ...config, directory: config.directory ?? join(dataDir, 'collateral') },
    {
      ...STORE_PARTS,
      now: clock,
      onEvent: news.onEvent,
    },
  );
  const running = store.run(lifecycle.closing);
  lifecycle.onClose('collateral', async () => {
    await close();
    await running;
  });
  // Whatever policy admits it, of a simulated machine no vendor knows anything.
  return { ...vouchingBy(store, news.revision), covers: ({ simulated }) => !simulated };
}

/** What the store tells, counted where it changes what was vouched for. */
export function newsOf(log: GatewayLog): {
  readonly onEvent: OnCollateralEvent;
  readonly revision: () => number;
} {
  let revision = 0;
  return {
    onEvent: (event) => {
      if (event.kind === 'replaced') revision++;
      logEvent(log, event);
    },
    revision: () => revision,
  };
}

export function vouchingBy(endorser: Endorser, revision: () => number): Vouching {
  return {
    covers: () => true,
    revision,
    vouch: async (bundle, signal) => {
      const limited = AbortSignal.any([signal, AbortSignal.timeout(VOUCH_TIMEOUT_MS)]);
      try {
        const vouched = withEndorsements(bundle, await endorsed(endorser, bundle, limited));
        if (vouched !== undefined) return vouched;
        throw registrationError('registration.collateral', 'another kind of machine');
      } catch (cause) {
        if (!(cause instanceof VeilError) || cause.code === 'internal.invariant') throw cause;
        throw registrationError('registration.collateral', cause.code, { cause });
      }
    },
  };
}

type Endorsements = Awaited<ReturnType<Endorser['endorse']>>;

/** Ends with the signal, whatever the endorser waits for: a disk that hangs does not know of signals. */
async function endorsed(
  endorser: Endorser,
  bundle: EvidenceBundle,
  signal: AbortSignal,
): Promise<Endorsements> {
  const { promise: over, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(registrationError('registration.collateral', 'time'));
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([over, endorser.endorse(bundle, signal)]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function logEvent(log: GatewayLog, event: CollateralEvent): void {
  if (event.kind === 'replaced') {
    log.event('collateral.replaced', { revoked: event.newlyRevoked });
    return;
  }
  log.event('collateral.trouble', {
    kind: event.kind,
    code: 'code' in event ? event.code : 'none',
  });
}
