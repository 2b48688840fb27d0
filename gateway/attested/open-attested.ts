/**
 * Whether this gateway may call itself attested, and what it is made of then. A configuration in which its operator could
 * read plaintext all the same refuses to start. Spec: docs/attested-gateway.md "Configuration".
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import type { Lifecycle } from '../../core/node/lifecycle.ts';
import type { GatewayConfig } from '../config.ts';
import { gatewayError } from '../errors.ts';
import type { GatewayLog } from '../events.ts';
import { makeAttestedTls } from '../identity.ts';
import { askedHosts } from '../own-addresses.ts';
import type { TlsIdentity } from '../tls-identity.ts';
import { AnswerProofs } from './answer-proofs.ts';
import { OwnEvidence } from './own-evidence.ts';
import type { QuoteSource } from './quote-source.ts';

export interface AttestedGatewayParts {
  readonly tls: TlsIdentity;
  readonly own: OwnEvidence;
  readonly proofs: AnswerProofs;
}

export interface OpenAttestedInput {
  readonly config: GatewayConfig;
  readonly quotes: QuoteSource | undefined;
  readonly identity: Bytes<32>;
  readonly ledgerKeys: readonly Bytes<32>[];
  readonly clock: Clock;
  readonly log: GatewayLog;
  readonly lifecycle: Lifecycle;
}

/** Before anything is opened. Throws `gateway.config`. */
export function assertAttestable(config: GatewayConfig, quotes: QuoteSource | undefined): void {
  const { attested, plaintext, listen, policyFile, publication } = config;
  if (attested === null) {
    if (plaintext === 'attested') throw gatewayError('gateway.config', 'plaintext: not attested');
    return;
  }
  if (quotes === undefined) {
    throw gatewayError('gateway.config', 'attested: "veilgate gateway" reaches the machine');
  }
  if (listen.httpsPort === null) throw gatewayError('gateway.config', 'attested: no httpsPort');
  if (listen.certificateFile !== null || listen.keyFile !== null) {
    throw gatewayError('gateway.config', 'attested: a key from a file is known to its owner');
  }
  askedHosts(config);
  // Simulated machines protect nothing, so there is nothing to lose by what follows.
  if (quotes.simulated) return;
  if (listen.httpPort !== null) {
    throw gatewayError('gateway.config', 'attested: clear text (httpPort) is read on the way');
  }
  // Prompts would be sealed to a worker that its operator made up.
  if (policyFile !== null || publication?.allowDevelopment === true) {
    throw gatewayError('gateway.config', 'attested: a policy for simulated workers');
  }
}

/** Resolves with the first statement made. Throws `gateway.config`, `evidence.*`, `collateral.*`. */
export async function openAttested(
  input: OpenAttestedInput,
): Promise<AttestedGatewayParts | undefined> {
  const { config, quotes, identity, ledgerKeys, clock, log, lifecycle } = input;
  const { attested, listen, dataDir } = config;
  if (attested === null || quotes === undefined) return undefined;
  const tls = await makeAttestedTls({ dataDir, hostNames: listen.hostNames, clock });
  const own = new OwnEvidence({
    source: quotes,
    hosts: askedHosts(config),
    keys: { identity, tls, ledger: ledgerKeys },
    workload: attested.workload,
    lifetimeS: attested.lifetimeS,
    clock,
    log,
  });
  await own.renew(lifecycle.closing);
  const kept = own.keep(lifecycle.closing);
  lifecycle.onClose('own evidence', () => kept);
  return { tls, own, proofs: new AnswerProofs(clock) };
}
