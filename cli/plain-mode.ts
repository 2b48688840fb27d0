/**
 * Puts the client's sealing code into a gateway that is allowed to read prompts: the gateway's own registry is the
 * directory, its own policy judges again as it is at that moment, and every prompt still leaves sealed.
 * Spec: overview "Roles in one request".
 * @module
 */

import type { ShownGateway } from '../client/directory.ts';
import { plainSealer } from '../client/plain-sealer.ts';
import type { Sealer } from '../gateway/openai/sealer.ts';
import type { GatewayParts } from '../gateway/parts.ts';
import { verifyGatewayDocument } from '../protocol/gateway-document.ts';

/** For `GatewayDeps.sealer`. */
export function plainModeSealer(parts: GatewayParts): Sealer {
  const { aud, desk, registry, clock } = parts;
  return plainSealer({
    trust: () => ({
      policy: desk.current(),
      candidate: desk.candidate(),
      revocations: desk.knowledge(),
    }),
    clock,
    gateway: aud,
    directory: {
      gateway: () => Promise.resolve({ aud, ...booksOf(parts) }),
      evidence: (model) =>
        Promise.resolve({
          candidates: registry.published(model, clock()).map(({ workerId, bundle, challenge }) => ({
            claimedWorkerId: workerId,
            evidence: () => bundle,
            challenge,
          })),
        }),
      modelNames: () =>
        Promise.resolve([...new Set(registry.all().map(({ key }) => key.model.id))]),
    },
  });
}

/** For proofs of answers: how this gateway says that it settles. */
function booksOf({ document, clock }: GatewayParts): Pick<ShownGateway, 'books'> {
  const shown = document();
  if (shown === undefined) return {};
  const { settlement, expiresMs } = verifyGatewayDocument(shown, clock());
  return { books: { settlement, document: shown, expiresMs } };
}
