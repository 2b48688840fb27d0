/** The bundle and what the person knows beside it, from files with bounds. @module */

import { VeilError } from '../../core/errors.ts';
import { systemCodeOf } from '../../core/node/private-files.ts';
import { ENVELOPE_MAX_BYTES } from '../../attestation/publication/kinds.ts';
import { ANSWER_MAX_BYTES, PROOF_MAX_BYTES, REQUEST_BODY_MAX_BYTES } from '../../client/limits.ts';
import type { ProofPins } from '../../client/proof/check-response.ts';
import { parseProof, type ResponseProof } from '../../client/proof/response-proof.ts';
import { readBounded } from '../receipt/read-bills.ts';

export interface ResponseFiles {
  readonly root?: string;
  readonly request?: string;
  readonly response?: string;
}

export type ReadFiles =
  | { readonly proof: ResponseProof; readonly pins: ProofPins }
  | { readonly unreadable: readonly string[] };

/** Of several that cannot be read each is named: half an answer would look like a whole one. */
export function readFiles(path: string, { root, request, response }: ResponseFiles): ReadFiles {
  const proof = attempt(path, () => parseProof(bytesOf(path, PROOF_MAX_BYTES)));
  const pins = [
    pinOf('root', root, ENVELOPE_MAX_BYTES.root),
    pinOf('request', request, REQUEST_BODY_MAX_BYTES),
    pinOf('response', response, ANSWER_MAX_BYTES),
  ];
  const unreadable = [proof, ...pins].flatMap((read) => (typeof read === 'string' ? [read] : []));
  if (typeof proof === 'string' || unreadable.length > 0) return { unreadable };
  return { proof, pins: Object.assign({}, ...pins) };
}

function pinOf(
  name: 'root' | 'request' | 'response',
  path: string | undefined,
  maxBytes: number,
): Partial<ProofPins> | string {
  if (path === undefined) return {};
  return attempt(path, () => ({ [name]: bytesOf(path, maxBytes) }));
}

class Unreadable extends Error {}

function bytesOf(path: string, maxBytes: number): Uint8Array {
  const bytes = readBounded(path, maxBytes);
  if (bytes === undefined) throw new Unreadable(`no file, or above ${maxBytes} bytes`);
  return bytes;
}

/** Or why not. */
function attempt<Value>(path: string, read: () => Value): Value | string {
  try {
    return read();
  } catch (error) {
    if (error instanceof Unreadable) return `${path}: ${error.message}`;
    if (error instanceof VeilError && error.code === 'client.proof') {
      return `${path}: ${error.message}`;
    }
    const code = systemCodeOf(error);
    if (code === 'unknown') throw error;
    return `${path}: ${code}`;
  }
}
