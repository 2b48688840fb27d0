/**
 * Requests under way: what each can cost at most, and how much of that the signed ceiling has room for. The two are one but
 * for an answer that is paid as it goes. Spec: ton-settlement §4.4.
 * @module
 */

import { fixed, fromHex, toHex, type Bytes } from '../../core/bytes.ts';
import type { Amount } from '../../settlement/money.ts';
import type { Witness } from './lost.ts';

export interface Flight {
  /** `max_amount`: no worker and no gateway may ask for more. */
  readonly most: Amount;
  /** What the ceiling was raised for. */
  readonly covered: Amount;
  readonly witness: Witness | undefined;
}

export class Flying {
  readonly #flights = new Map<string, Flight>();

  get size(): number {
    return this.#flights.size;
  }

  get most(): bigint {
    let sum = 0n;
    for (const { most } of this.#flights.values()) sum += most;
    return sum;
  }

  get covered(): bigint {
    let sum = 0n;
    for (const { covered } of this.#flights.values()) sum += covered;
    return sum;
  }

  get(requestId: Bytes<16>): Flight | undefined {
    return this.#flights.get(toHex(requestId));
  }

  put(requestId: Bytes<16>, flight: Flight): void {
    this.#flights.set(toHex(requestId), flight);
  }

  end(requestId: Bytes<16>): Flight | undefined {
    const flight = this.get(requestId);
    this.#flights.delete(toHex(requestId));
    return flight;
  }

  all(): readonly (Flight & { readonly id: Bytes<16> })[] {
    return [...this.#flights].map(([name, flight]) => ({
      ...flight,
      id: fixed(fromHex(name), 16),
    }));
  }
}
