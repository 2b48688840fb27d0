/** What somebody hears who sends a worker whatever bytes: a status in clear, and one under the seal where it got that far. @module */

import type { SealedRequest } from '../../protocol/sx/seal.ts';
import { ResponseReader } from '../../protocol/sx/read-response.ts';
import { handleExchange } from '../../enclave-worker/handle.ts';
import { openWire, type Fixture } from '../enclave-worker/exchange-fixture.ts';

export interface Heard {
  /** Of the link, in clear. */
  readonly outer: number;
  /** Under the seal; 0 when there is none. */
  readonly inner: number;
  readonly bytes: number;
}

/** Reads the head alone: the receipt of a request without a policy is none that a client accepts. */
export async function sendTo({ deps }: Fixture, sealed: SealedRequest): Promise<Heard> {
  const wire = openWire();
  await handleExchange(deps, sealed.bytes, wire.sink, wire.call);
  const [first] = wire.written;
  const events = first === undefined ? [] : new ResponseReader(sealed.exchange).push(first);
  const head = events.find((event) => event.kind === 'head');
  const bytes = wire.written.reduce((sum, piece) => sum + piece.length, 0);
  return { outer: wire.status, inner: head?.status ?? 0, bytes };
}
