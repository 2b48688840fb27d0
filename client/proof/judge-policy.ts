/**
 * The policy of a kept proof: signed from a root upwards, in force and fresh when the evidence was judged, as the client of
 * that day had to find it. Spec: docs/response-proof.md; docs/publication.md §3, §4.
 * @module
 */

import { equalPublic, toHex, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { compilePolicy } from '../../attestation/policy/compile.ts';
import { BUNDLE } from '../../attestation/publication/bundle.ts';
import { parseEnvelope } from '../../attestation/publication/envelope.ts';
import { hold, isNamedBy, type PublicationState } from '../../attestation/publication/memory.ts';
import { openPublication } from '../../attestation/publication/open.ts';
import { assertRootLives } from '../../attestation/publication/order.ts';
import { hasSigned } from '../../attestation/publication/verified.ts';
import { decodeState } from '../../attestation/publication/saved-state.ts';
import type { Check } from '../../attestation/verdict.ts';
import { SignedTrust } from '../signed-trust.ts';
import { unsignedTrust, type Trust } from '../trust.ts';
import { failed, named, passed, waivedBy } from './proof-check.ts';
import type { PolicyProof, ResponseProof } from './response-proof.ts';

export interface PolicyPins {
  /** The root document that has to stand in the proof's chain; what is signed above it counts. */
  readonly root?: Uint8Array;
  /** Of an unsigned policy: SHA-256 of its canonical text. */
  readonly policyDigest?: Bytes<32>;
  /**
   * That the client asked nobody how old its policy was, and whether it was ever released. Said by whoever verifies: who made
   * the file could leave out by that word what takes away.
   */
  readonly offline?: 'accepted';
}

export interface JudgedPolicy {
  readonly checks: readonly Check[];
  /** Undefined where nothing holds that anybody could be judged by. */
  readonly trust: Trust | undefined;
  /** Of the document that everything is signed from. */
  readonly rootSha256: Bytes<32> | undefined;
}

export function judgePolicy(
  { policy, appraisedAtMs }: ResponseProof,
  pins: PolicyPins,
): JudgedPolicy {
  if (policy.kind === 'signed') return judgeSigned(policy, appraisedAtMs, pins);
  if (pins.root !== undefined) {
    const check = failed('policy.root', 'a policy signed under the root', 'an unsigned policy');
    return { checks: [check], trust: undefined, rootSha256: undefined };
  }
  return judgeUnsigned(policy.canonical, appraisedAtMs, pins);
}

function judgeUnsigned(
  canonical: Uint8Array,
  nowMs: number,
  { policyDigest }: PolicyPins,
): JudgedPolicy {
  const compiled = attempt(() => compilePolicy(canonical));
  if ('because' in compiled) {
    const check = failed('policy.form', 'a policy', compiled.because);
    return { checks: [check], trust: undefined, rootSha256: undefined };
  }
  const { digest } = compiled.value;
  const check =
    policyDigest === undefined
      ? waivedBy('policy.digest', 'nobody signed it; say which it has to be to have it checked')
      : named(
          'policy.digest',
          equalPublic(policyDigest, digest),
          `sha256:${toHex(policyDigest)}`,
          `sha256:${toHex(digest)}`,
        );
  return {
    checks: [passed('policy.form'), check],
    trust: unsignedTrust(compiled.value).current(nowMs),
    rootSha256: undefined,
  };
}

type Signed = Extract<PolicyProof, { kind: 'signed' }>;

function judgeSigned(policy: Signed, nowMs: number, pins: PolicyPins): JudgedPolicy {
  if (pins.policyDigest !== undefined) {
    return broken([failed('policy.digest', 'an unsigned policy', 'a signed policy')]);
  }
  const { root: pin } = pins;
  const saved = attempt(() => decodeState(policy.state));
  if ('because' in saved) return broken([failed('policy.form', 'saved documents', saved.because)]);
  const form = passed('policy.form');
  const [first] = saved.value.roots;
  const root = pinCheck(saved.value.roots, pin);
  const pinnedRoot = pin ?? first;
  if (root.outcome === 'fail' || pinnedRoot === undefined) return broken([form, root]);
  const opened = attempt(() => {
    const state = openPublication({ pinnedRoot, saved: policy.state, nowMs });
    assertRootLives(state.root, nowMs);
    const { unreleased } = policy;
    return {
      state: provablyConfirmed(state),
      unreleased: unreleased && hold(unreleased, state.root, BUNDLE),
    };
  });
  if ('because' in opened) {
    const check = failed('policy.signatures', 'documents signed from the root up', opened.because);
    return broken([form, root, check]);
  }
  const { state, unreleased } = opened.value;
  const checks = [form, root, passed('policy.signatures')];
  const rootSha256 = pinnedDigest(state);
  const trust = attempt(() =>
    new SignedTrust({
      clock: () => nowMs,
      state,
      mode: policy.mode,
      ...(unreleased && { unreleased }),
    }).current(nowMs),
  );
  if ('because' in trust) {
    const check = failed('policy.in_force', 'a policy in force and fresh', trust.because);
    return { checks: [...checks, check], trust: undefined, rootSha256 };
  }
  return { checks: [...checks, inForce(policy, pins)], trust: trust.value, rootSha256 };
}

/**
 * That somebody confirmed a list is the file's word: one revocation key makes a list that gives back. It counts where the
 * timestamp names the list, or those who sign policies signed it too.
 */
function provablyConfirmed(state: PublicationState): PublicationState {
  const { revocations, timestamp, root } = state;
  if (revocations === undefined) return state;
  const isNamed = timestamp !== undefined && isNamedBy(timestamp, revocations);
  const confirmed = isNamed || hasSigned(revocations.document, root, 'policy');
  return { ...state, revocations: { ...revocations, confirmed } };
}

function inForce({ mode, unreleased }: Signed, { offline }: PolicyPins): Check {
  if (mode === 'online') {
    // What is in force is released; a bundle beside it is one that somebody chose.
    if (unreleased === undefined) return passed('policy.in_force');
    return failed('policy.in_force', 'the released policy', 'a bundle beside it');
  }
  const what = unreleased === undefined ? 'its age was not asked' : 'nobody had released it';
  if (offline !== 'accepted') return failed('policy.in_force', 'in force by a timestamp', what);
  return waivedBy('policy.in_force', what, 'the verifier, who accepts the client option offline');
}

function broken(checks: readonly Check[]): JudgedPolicy {
  return { checks, trust: undefined, rootSha256: undefined };
}

/** A pin that is newer than the whole chain would begin another one: then nothing of this one is signed by it. */
function pinCheck(roots: readonly Uint8Array[], pin: Uint8Array | undefined): Check {
  if (pin === undefined) {
    return waivedBy(
      'policy.root',
      'the root is the one in the proof; pin yours to have it checked',
    );
  }
  const digestOf = (bytes: Uint8Array): Bytes<32> => parseEnvelope(bytes, 'root').digest;
  const found = attempt(() => {
    const wanted = digestOf(pin);
    return roots.some((bytes) => equalPublic(digestOf(bytes), wanted));
  });
  if ('because' in found) return failed('policy.root', 'a root document', found.because);
  return named('policy.root', found.value, 'your root in the chain', 'another chain of roots');
}

function pinnedDigest({ roots }: PublicationState): Bytes<32> | undefined {
  return roots[0]?.document.digest;
}

type Attempt<Value> = { readonly value: Value } | { readonly because: string };

function attempt<Value>(step: () => Value): Attempt<Value> {
  try {
    return { value: step() };
  } catch (error) {
    if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
    return { because: error.message };
  }
}
