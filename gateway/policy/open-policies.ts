/**
 * The gateway's policies put together: an unsigned file for development, or signed documents that are kept current while
 * the gateway runs. Spec: docs/publication.md; gpu-and-policy §5.4.
 * @module
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compilePolicy } from '../../attestation/policy/compile.ts';
import { ENVELOPE_MAX_BYTES } from '../../attestation/publication/kinds.ts';
import { STATE_MAX_BYTES } from '../../attestation/publication/limits.ts';
import type { PublicationState } from '../../attestation/publication/memory.ts';
import { openPublication } from '../../attestation/publication/open.ts';
import { makePrivateFolder, readPrivate } from '../../core/node/private-files.ts';
import type { GatewayConfig } from '../config.ts';
import { gatewayError } from '../errors.ts';
import { FIRST_LOOK_TIMEOUT_MS } from '../limits.ts';
import { auditHeld } from './audit-publication.ts';
import { PolicyDesk } from './desk.ts';
import { hasDevelopment, Keeper } from './keeper.ts';
import type { PolicyParts, PolicyUsers } from './parts.ts';
import { PolicyReport, type PolicyStatus } from './report.ts';
import { openSource } from './sources.ts';
import { Watch } from './watch.ts';

export interface Policies {
  readonly desk: PolicyDesk;
  /** Only simulated machines come in. */
  readonly isDevelopment: boolean;
  /** What was accepted, for whoever asks; undefined with an unsigned policy. */
  readonly published: (() => PublicationState) | undefined;
  readonly status: (nowMs: number) => PolicyStatus;
  /** Keeps current what is on the desk, until the gateway closes. */
  run(users: PolicyUsers): void;
}

const POLICY_MAX_BYTES = 1_048_576;

/** Throws `gateway.config`, `gateway.policy`, `policy.*`, `publication.*`. */
export async function openPolicies(parts: PolicyParts): Promise<Policies> {
  const { publication, policyFile } = parts.config;
  if (publication !== null && policyFile !== null) {
    throw gatewayError('gateway.config', 'either publication or policyFile');
  }
  if (publication !== null) return await signedPolicies(parts, publication);
  if (policyFile !== null) return unsignedPolicy(parts, policyFile);
  throw gatewayError(
    'gateway.config',
    'want publication: signed policies, and the root of their keys',
  );
}

function unsignedPolicy({ counters }: PolicyParts, path: string): Policies {
  const bytes = readConfigured(path, 'policyFile', POLICY_MAX_BYTES);
  const policy = compilePolicy(bytes, { source: path });
  if (policy.document.development !== true) {
    throw gatewayError(
      'gateway.config',
      'policyFile takes development policies only; sign this one (veilgate policy sign) and set publication',
    );
  }
  counters.policySerial(policy.document.serial);
  const desk = new PolicyDesk({ current: policy });
  const report = new PolicyReport(desk);
  return {
    desk,
    isDevelopment: true,
    published: undefined,
    status: (nowMs) => report.status(nowMs),
    run: () => undefined,
  };
}

async function signedPolicies(
  parts: PolicyParts,
  publication: NonNullable<GatewayConfig['publication']>,
): Promise<Policies> {
  const { config, clock, counters, lifecycle, audit } = parts;
  const { allowDevelopment, rootFile } = publication;
  const folder = join(config.dataDir, 'policy');
  makePrivateFolder(folder);
  const statePath = join(folder, 'accepted.json');
  const saved = readPrivate(statePath, { privacy: 'public', maxBytes: STATE_MAX_BYTES });
  const state = openPublication({
    pinnedRoot: readConfigured(rootFile, 'publication.rootFile', ENVELOPE_MAX_BYTES.root),
    nowMs: clock(),
    ...(saved === undefined ? {} : { saved }),
  });
  await auditHeld(audit, state);
  const source = openSource(publication);
  lifecycle.onClose('policies', () => source.close());
  const watch = new Watch(parts);
  const keeper = new Keeper(
    { source, statePath, clock, allowDevelopment, on: watch.events },
    state,
  );
  await keeper.look(
    AbortSignal.any([lifecycle.closing, AbortSignal.timeout(FIRST_LOOK_TIMEOUT_MS)]),
  );
  const enforced = keeper.enforced();
  if (enforced === undefined) {
    throw gatewayError('gateway.policy', 'nothing that verifies is published yet');
  }
  const desk = new PolicyDesk(enforced, keeper.revocations());
  // What was saved was accepted where it may have been allowed.
  if (hasDevelopment(keeper.state()) && !allowDevelopment) {
    throw gatewayError(
      'gateway.policy',
      'a policy for simulated machines; see publication.allowDevelopment',
    );
  }
  counters.policySerial(enforced.current.document.serial);
  const report = new PolicyReport(desk, watch.alarms, keeper);
  return {
    desk,
    // The next policy may be one for real machines.
    isDevelopment: false,
    published: () => keeper.state(),
    status: (nowMs) => report.status(nowMs),
    run: (users) => watch.run({ keeper, source, desk, report, ...users }),
  };
}

function readConfigured(path: string, what: string, maxBytes: number): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw gatewayError('gateway.config', what, { cause });
  }
  if (bytes.length > maxBytes) throw gatewayError('gateway.config', `${what}: too large`);
  return bytes;
}
