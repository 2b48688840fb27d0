/**
 * From the option `policy` to what a session judges by. What is wrong with the app's own files is said here, once and in
 * full; what is wrong with what a gateway shows is said when somebody asks for keys.
 * @module
 */

import { equalPublic, utf8 } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { VeilError } from '../core/errors.ts';
import type { CompiledPolicy } from '../attestation/policy/compile.ts';
import { BUNDLE } from '../attestation/publication/bundle.ts';
import { ENVELOPE_MAX_BYTES } from '../attestation/publication/kinds.ts';
import { STATE_MAX_BYTES } from '../attestation/publication/limits.ts';
import { hold, type PublicationState } from '../attestation/publication/memory.ts';
import { openPublication } from '../attestation/publication/open.ts';
import { assertNotAhead, assertRootLives, equivocation } from '../attestation/publication/order.ts';
import { publicationError } from '../attestation/publication/errors.ts';
import { heldBundles } from '../attestation/publication/find-bundles.ts';
import { decodeState } from '../attestation/publication/saved-state.ts';
import type { Offered } from '../attestation/publication/advance.ts';
import type { Refusal } from '../attestation/publication/step.ts';
import { fetchDocuments, plainUrlOf, type DocumentSource } from './documents.ts';
import { clientError } from './errors.ts';
import type { Fetch } from './fetch-bounded.ts';
import { DOCUMENT_TIMEOUT_MS } from './limits.ts';
import { offeredOf } from './offered-state.ts';
import { ClientMemory, openPinned } from './policy-memory.ts';
import {
  assertPolicyGiven,
  isSigned,
  isText,
  loadPolicy,
  type PolicySource,
  type SignedPolicy,
} from './policy-source.ts';
import { SignedTrust, type PolicyNews, type SignedTrustOptions } from './signed-trust.ts';
import { unsignedTrust, type TrustSource } from './trust.ts';
import { textOf } from './untrusted.ts';

export interface OpenTrustOptions {
  readonly policy: PolicySource;
  readonly clock: Clock;
  /** For `policy.publication`. */
  readonly fetch: Fetch;
  readonly onPolicy?: (news: PolicyNews) => void;
}

/** Throws `client.option`, `client.policy_*`, `client.clock`, `client.insecure_url`, `policy.*`. */
export async function openTrust(options: OpenTrustOptions): Promise<TrustSource> {
  const { policy } = options;
  assertPolicyGiven(policy);
  if (typeof policy === 'string' || !isSigned(policy)) {
    return unsignedTrust(await loadPolicy(policy));
  }
  return openSigned(policy, options);
}

async function openSigned(
  { root, bundle, publication, memory: kept, offline }: SignedPolicy,
  { clock, fetch, onPolicy }: OpenTrustOptions,
): Promise<TrustSource> {
  const pinnedRoot = await rootBytes(root);
  const blank = openPinned(pinnedRoot, clock());
  const pinned = { pinnedRoot, policy: blank.root.payload.policy };
  const memory = kept === undefined ? undefined : new ClientMemory(await storeOf(kept), pinned);
  const given = bundle === undefined ? undefined : await givenOf(bundle, pinnedRoot);
  const state = (await memory?.open(clock())) ?? blank;
  const base: SignedTrustOptions = {
    clock,
    state,
    mode: offline === true ? 'offline' : 'online',
    ...(memory && { memory }),
    ...(onPolicy && { onPolicy }),
    ...(publication && { place: placeOf(publication, fetch) }),
  };
  if (given === undefined) return withPolicyIfOffline(new SignedTrust(base), base);
  return await withGiven(base, given);
}

/** An offline client will never learn more than it was given. */
function withPolicyIfOffline(trust: SignedTrust, { mode, clock }: SignedTrustOptions): SignedTrust {
  if (mode === 'offline') trust.current(clock());
  return trust;
}

async function rootBytes(root: string | Uint8Array): Promise<Uint8Array> {
  if (typeof root !== 'string') return root;
  if (isText(root)) return utf8(root);
  const { readRootFile } = await import('./node/published-files.ts');
  return readRootFile(root, ENVELOPE_MAX_BYTES.root);
}

async function storeOf(memory: NonNullable<SignedPolicy['memory']>) {
  if (typeof memory !== 'string') return memory;
  const { policyMemoryFile } = await import('./node/policy-memory-file.ts');
  return policyMemoryFile(memory);
}

/** Documents are signed and public: no key goes there. */
function placeOf(publication: string | URL, fetch: Fetch): DocumentSource {
  const baseUrl = plainUrlOf(String(publication), 'policy.publication');
  return fetchDocuments({ fetch, baseUrl, headers: {} });
}

type Given =
  | { readonly kind: 'documents'; readonly documents: DocumentSource }
  | { readonly kind: 'state'; readonly offered: Offered }
  | { readonly kind: 'bundle'; readonly bytes: Uint8Array };

async function givenOf(bundle: string | Uint8Array, pinnedRoot: Uint8Array): Promise<Given> {
  let bytes = bundle;
  if (typeof bytes === 'string') {
    const { openPublishedFiles } = await import('./node/published-files.ts');
    const found = await openPublishedFiles(bytes, STATE_MAX_BYTES);
    if (found.kind === 'directory') return { kind: 'documents', documents: found.documents };
    bytes = found.bytes;
  }
  if (!isSavedState(bytes)) return { kind: 'bundle', bytes };
  const saved = bytes;
  // Only to take it apart: whether it holds now is asked when it is offered.
  const nowMs = Number.MAX_SAFE_INTEGER;
  const state = asBundleError(() => openPublication({ pinnedRoot, saved, nowMs }));
  return { kind: 'state', offered: offeredOf(state) };
}

function isSavedState(bytes: Uint8Array): boolean {
  try {
    decodeState(bytes);
    return true;
  } catch (error) {
    if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
    return false; // an answer: then it has to be a bundle, and says itself what is wrong with it
  }
}

async function withGiven(base: SignedTrustOptions, given: Given): Promise<SignedTrust> {
  if (given.kind === 'bundle') return withBundle(base, given.bytes);
  const trust = new SignedTrust(base);
  const refused =
    given.kind === 'state'
      ? trust.give(given.offered)
      : await trust.look(given.documents, AbortSignal.timeout(DOCUMENT_TIMEOUT_MS));
  assertTaken(refused, base.mode);
  await trust.save();
  return withPolicyIfOffline(trust, base);
}

/** What only time has done to a client's files is no fault while somebody can show newer ones. */
const AGED: readonly string[] = [
  'publication.rollback',
  'publication.expired',
  'publication.root_expired',
];

function assertTaken(refused: readonly Refusal[], mode: SignedTrustOptions['mode']): void {
  const found = refused.find(({ document, code }) => {
    if (code === 'publication.equivocation') return true;
    // A file may begin below the root that is pinned; a timestamp that is old says only that it is.
    if (code === 'publication.rollback' && (document === 'root' || document === 'timestamp')) {
      return false;
    }
    return mode === 'offline' || !AGED.includes(code);
  });
  if (found === undefined) return;
  const isTwofold = found.code === 'publication.equivocation';
  throw clientError(
    isTwofold ? 'client.policy_equivocation' : 'client.policy_bundle',
    textOf(found),
  );
}

/** A bundle alone: online it waits for the release that names it; offline the option says that it is in force. */
async function withBundle(base: SignedTrustOptions, bytes: Uint8Array): Promise<SignedTrust> {
  const { state, mode, clock } = base;
  const nowMs = clock();
  const held = asBundleError(() => {
    const bundle = hold(bytes, state.root, BUNDLE);
    if (mode === 'offline') assertUsable(state, bundle.document.payload.policy, nowMs);
    return bundle;
  });
  const { serial } = held.document.payload.policy.document;
  const { place } = base;
  const supply: DocumentSource = async (name, maxBytes, signal) =>
    name === `bundles/${serial}.json` ? bytes : await place?.(name, maxBytes, signal);
  if (mode === 'online') return new SignedTrust({ ...base, place: supply });
  const next = { ...state, highestSerial: Math.max(state.highestSerial, serial) };
  await base.memory?.save(next);
  return new SignedTrust({ ...base, state: next, unreleased: held });
}

/** What `advance` asks of a bundle that a release names. Throws `publication.*`. */
function assertUsable(state: PublicationState, policy: CompiledPolicy, nowMs: number): void {
  const { serial, issued, expires } = policy.document;
  assertRootLives(state.root, nowMs);
  assertNotAhead(issued, nowMs);
  if (nowMs >= expires) throw publicationError('publication.expired', `serial ${serial}`);
  if (serial < state.highestSerial) {
    throw publicationError('publication.rollback', `serial ${serial} < ${state.highestSerial}`);
  }
  const same = heldBundles(state).find(
    ({ document }) => document.payload.policy.document.serial === serial,
  );
  const held = same?.document.payload.policy;
  if (held !== undefined && !equalPublic(held.digest, policy.digest)) {
    throw equivocation('serial', serial, held, policy);
  }
}

function asBundleError<Value>(judge: () => Value): Value {
  try {
    return judge();
  } catch (cause) {
    if (!(cause instanceof VeilError) || cause.code === 'internal.invariant') throw cause;
    const isTwofold = cause.code === 'publication.equivocation';
    const code = isTwofold ? 'client.policy_equivocation' : 'client.policy_bundle';
    throw clientError(code, cause.message, { cause, facts: cause.facts });
  }
}
