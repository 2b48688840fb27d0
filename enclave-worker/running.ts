/** Exchanges that run, so that the gateway can end one early by its msg_id. Spec: P§15.4. @module */

import { toHex } from '../core/bytes.ts';

export class RunningExchanges {
  readonly #stops = new Map<string, AbortController>();

  /** Aborts its signal when the gateway has asked to end it. `leave` once, when it is over. */
  enter(msgId: Uint8Array): { readonly stopped: AbortSignal; readonly leave: () => void } {
    const name = toHex(msgId);
    const stop = new AbortController();
    this.#stops.set(name, stop);
    return { stopped: stop.signal, leave: () => void this.#stops.delete(name) };
  }

  /** False: no such exchange runs. */
  stop(msgIdHex: string): boolean {
    const stop = this.#stops.get(msgIdHex);
    stop?.abort();
    return stop !== undefined;
  }
}
