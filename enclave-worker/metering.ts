/** Sends a METER after every so many tokens of output, for a gateway that asked. Spec: P§10.7. @module */

import type { Usage } from '../protocol/receipt.ts';
import { RESPONSE_METER_FRAMES_MAX } from '../protocol/sx/limits.ts';

export interface MeteringPorts {
  readonly usage: () => Usage;
  readonly send: (usage: Usage, seq: number) => void;
}

export class Metering {
  readonly #every: number;
  readonly #ports: MeteringPorts;
  #seq = 0;
  #nextAt: number;

  constructor(every: number, ports: MeteringPorts) {
    this.#every = every;
    this.#ports = ports;
    this.#nextAt = every;
  }

  /** After each piece of the answer was written. */
  wrote(): void {
    const usage = this.#ports.usage();
    const tokens = usage.completion + usage.reasoning;
    if (tokens < this.#nextAt || this.#seq === RESPONSE_METER_FRAMES_MAX) return;
    this.#nextAt = tokens + this.#every;
    this.#seq++;
    this.#ports.send(usage, this.#seq);
  }
}
