/** The bundle and what the person knows beside it, from files with bounds. @module */

import { VeilError } from '../../core/errors.ts';
import { systemCodeOf } from '../../core/node/private-files.ts';
import {
  isAttestedProof,
  parseAttestedProof,
  type AttestedProof,
} from '../../client/attested/attested-proof.ts';
import { ENVELOPE_MAX_BYTES } from '../../attestation/publication/kinds.ts';
import {
  ANSWER_MAX_BYTES,
  ATTESTED_PROOF_MAX_BYTES,
  REQUEST_BODY_MAX_BYTES,
} from '../../client/limits.ts';
import type { ProofPins } from '../../client/proof/check-response.ts';
import { parseProof, type ResponseProof } from '../../client/proof/response-proof.ts';
import { readBounded } from '../receipt/read-bills.ts';

export interface ResponseFiles {
  readonly root?: string;
  readonly request?: string;
  readonly response?: string;
}

/** Of an answer that was sealed for here, or of one through a gateway in a TEE. */
export type AnyProof =
  | { readonly kind: 'sealed'; readonly proof: ResponseProof }
  | { readonly kind: 'attested'; readonly proof: AttestedProof };

function parseAnyProof(bytes: Uint8Array): AnyProof {
  if (isAttestedProof(bytes)) return { kind: 'attested', proof: parseAttestedProof(bytes) };
  return { kind: 'sealed', proof: parseProof(bytes) };
}

export type ReadFiles =
  | { readonly proof: AnyProof; readonly pins: ProofPins }
  | { readonly unreadable: readonly string[] };

/** Of several that cannot be read each is named: half an answer would look like a whole one. */
export function readFiles(path: string, { root, request, response }: ResponseFiles): ReadFiles {
  const proof = read(path, ATTESTED_PROOF_MAX_BYTES, parseAnyProof);
  const parts = [
    pin(root, ENVELOPE_MAX_BYTES.root, (bytes) => ({ root: bytes })),
    pin(request, REQUEST_BODY_MAX_BYTES, (bytes) => ({ request: bytes })),
    pin(response, ANSWER_MAX_BYTES, (bytes) => ({ response: bytes })),
  ];
  const unreadable = [proof, ...parts].filter((part) => typeof part === 'string');
  if (typeof proof === 'string' || unreadable.length > 0) return { unreadable };
  let pins: ProofPins = {};
  for (const part of parts) if (typeof part !== 'string') pins = { ...pins, ...part };
  return { proof, pins };
}

function pin(
  path: string | undefined,
  maxBytes: number,
  name: (bytes: Uint8Array) => ProofPins,
): ProofPins | string {
  return path === undefined ? {} : read(path, maxBytes, name);
}

/** Or why not. */
function read<Value extends object>(
  path: string,
  maxBytes: number,
  decode: (bytes: Uint8Array) => Value,
): Value | string {
  try {
    const bytes = readBounded(path, maxBytes);
    if (bytes === undefined) return `${path}: no file, or above ${maxBytes} bytes`;
    return decode(bytes);
  } catch (error) {
    if (error instanceof VeilError && error.code === 'client.proof') {
      return `${path}: ${error.message}`;
    }
    const code = systemCodeOf(error);
    if (code === 'unknown') throw error;
    return `${path}: ${code}`;
  }
}
