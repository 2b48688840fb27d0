/**
 * Worker: opens a sealed request, in the order that spends least on a stranger. Spec: P§8.
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { VeilError } from '../../core/errors.ts';
import type { Prelude } from './prelude.ts';
import type { Recipient, RecipientKeys } from './recipient-keys.ts';
import type { ReplaySet } from './replay.ts';
import type { ResponseSealer } from './respond.ts';
import type { InnerRequest } from './seal.ts';

export interface OpenInput {
  readonly keys: RecipientKeys;
  readonly replay: ReplaySet;
  readonly nowMs: number;
  /** Admission on clear data alone: throws `sx.busy` or `sx.price`. Nothing is consumed yet, so the gateway may move on. */
  readonly admit: (prelude: Prelude, recipient: Recipient) => void;
}

export interface OpenedRequest {
  readonly prelude: Prelude;
  readonly kid: Bytes<16>;
  readonly recipient: Recipient;
  readonly th: Bytes<32>;
  /** `refused`: answer it *sealed* through `responder` (code `sx.inner`, 400). */
  readonly inner:
    | {
        readonly kind: 'request';
        readonly request: InnerRequest;
        /** The client's `sx-policy`: copied into the receipt, not judged. */
        readonly policyDigest: Bytes<32>;
      }
    | { readonly kind: 'refused'; readonly error: VeilError };
  readonly responder: ResponseSealer;
}

/**
 * Throws `sx.refused` (bare 400), `sx.unsupported`, `sx.key_unknown`, `sx.replay`, `sx.busy` and whatever `admit` throws:
 * all of them answered in clear, with the status and nothing else.
 */
export declare function openRequest(bytes: Uint8Array, input: OpenInput): OpenedRequest;

/** Throws `sx.model` when the model named inside is not the one the request was routed and priced for. */
export declare function assertRouted(prelude: Prelude, modelId: string): void;
