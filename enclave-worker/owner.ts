/**
 * The owner's signature over a statement. The owner's key pays out and therefore lives outside the worker; the worker
 * asks over IPC, and the owner's side signs only for its own card. Spec: overview "Identities".
 * @module
 */

import { z } from 'zod';
import { signEd25519 } from '#primitives';
import { equalPublic, fixed, fromBase64, toBase64, type Bytes } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { cardDigestOf, ownerSignatureInput, parseCard } from '../attestation/card.ts';
import { parseStatement, statementHash, type Statement } from '../attestation/statement.ts';
import { workerError } from './errors.ts';
import type { IpcChannel } from './ipc.ts';
import {
  OWNER_CLOCK_APART_MAX_MS,
  OWNER_REQUESTS_MAX,
  OWNER_TIMEOUT_MS,
  STATEMENT_LIFETIME_MAX_S,
} from './limits.ts';

export interface OwnerSigner {
  /** Throws `worker.owner_refused`, `worker.owner_silent`. */
  sign(statement: Uint8Array, card: Uint8Array): Promise<Bytes<64>>;
}

/** What else the owner signs nothing outside of. */
export interface OwnerScope {
  /** Statements of another hour than this clock's are refused: nobody collects signatures for later. */
  readonly now?: Clock;
  /** The gateways that statements may be made for; absent: any. */
  readonly auds?: readonly string[];
}

/** Signs with the key itself: for the owner's process. Signs only statements that are about `ownCard`. */
export function localOwnerSigner(
  secretKey: Bytes<32>,
  ownCard: Uint8Array,
  scope: OwnerScope = {},
): OwnerSigner {
  return {
    sign: async (statement, card) => {
      assertOwn(statement, card, ownCard);
      assertWithin(parseStatement(statement), scope);
      return signEd25519(secretKey, ownerSignatureInput(statementHash(statement)));
    },
  };
}

function assertOwn(statementBytes: Uint8Array, card: Uint8Array, ownCard: Uint8Array): void {
  if (!equalPublic(card, ownCard)) throw workerError('worker.owner_refused', 'foreign card');
  const statement = parseStatement(statementBytes);
  if (statement.card === undefined || !equalPublic(statement.card, cardDigestOf(ownCard))) {
    throw workerError('worker.owner_refused', 'the statement names another card');
  }
  if (!equalPublic(statement.workload.model, parseCard(ownCard).model.weights)) {
    throw workerError('worker.owner_refused', 'the statement names other weights');
  }
  if (statement.exp - statement.iat > STATEMENT_LIFETIME_MAX_S) {
    throw workerError('worker.owner_refused', 'the statement lives too long');
  }
}

const MS_PER_S = 1000;

function assertWithin({ iat, exp, aud }: Statement, { now, auds }: OwnerScope): void {
  if (auds !== undefined && !auds.includes(aud)) {
    throw workerError('worker.owner_refused', 'the statement is for another gateway');
  }
  if (now === undefined) return;
  const nowMs = now();
  const apartMs = Math.abs(iat * MS_PER_S - nowMs);
  if (apartMs > OWNER_CLOCK_APART_MAX_MS || exp * MS_PER_S <= nowMs) {
    throw workerError('worker.owner_refused', 'the statement is of another time');
  }
}

const ID = z.int().min(1);
const BASE64_MAX = 16_384;
const SIGN_REQUEST = z.strictObject({
  kind: z.literal('owner.sign'),
  id: ID,
  statement: z.base64().max(BASE64_MAX),
  card: z.base64().max(BASE64_MAX),
});
const SIGN_ANSWER = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('owner.signed'), id: ID, signature: z.base64().length(88) }),
  z.strictObject({ kind: z.literal('owner.refused'), id: ID }),
]);

/** The worker's side. */
export function ipcOwnerSigner(channel: IpcChannel): OwnerSigner {
  let lastId = 0;
  let open = 0;
  return {
    sign: async (statement, card) => {
      if (open >= OWNER_REQUESTS_MAX) throw workerError('worker.owner_silent', 'too many requests');
      const id = ++lastId;
      const { promise, resolve, reject } = Promise.withResolvers<Bytes<64>>();
      const stop = channel.onMessage((raw) => {
        const answer = SIGN_ANSWER.safeParse(raw);
        if (!answer.success || answer.data.id !== id) return;
        if (answer.data.kind === 'owner.refused') reject(workerError('worker.owner_refused'));
        else resolve(fixed(fromBase64(answer.data.signature), 64, 'owner signature'));
      });
      const late = setTimeout(() => reject(workerError('worker.owner_silent')), OWNER_TIMEOUT_MS);
      open++;
      try {
        channel.send({
          kind: 'owner.sign',
          id,
          statement: toBase64(statement),
          card: toBase64(card),
        });
        return await promise;
      } finally {
        open--;
        clearTimeout(late);
        stop();
      }
    },
  };
}

/** The owner's side: answers every request of the worker behind `channel`. Returns the way to stop. */
export function serveOwner(channel: IpcChannel, signer: OwnerSigner): () => void {
  return channel.onMessage((raw) => {
    const request = SIGN_REQUEST.safeParse(raw);
    if (!request.success) return;
    const { id, statement, card } = request.data;
    const answer = async (): Promise<void> => {
      const signature = await signer.sign(fromBase64(statement), fromBase64(card));
      channel.send({ kind: 'owner.signed', id, signature: toBase64(signature) });
    };
    // Whatever went wrong, the worker learns only that there is no signature.
    answer().catch(() => channel.send({ kind: 'owner.refused', id }));
  });
}
