/**
 * The shape of a sealed answer as it arrives: kid ‖ nonce, then frames in the one order that is legal. Client and gateway
 * use the same grammar; neither buffers more than one frame. Spec: P§10.1, P§10.3.
 * @module
 */

import { fixed, type Bytes } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { METER_BYTES } from '../meter.ts';
import { RECEIPT_BYTES } from '../receipt.ts';
import { sxError } from './errors.ts';
import { FRAME, FrameSplitter, SEALED_MAX_BYTES, TAG_BYTES } from './frames.ts';
import {
  CONSTANT_FRAME_BYTES,
  CONSTANT_FRAMES_STEP,
  GATEWAY_ERROR_CODE_MAX_BYTES,
  LEDGER_FRAME_MAX_BYTES,
  RESPONSE_FRAMES_MAX,
  RESPONSE_KEEPALIVE_FRAMES_MAX,
  RESPONSE_METER_FRAMES_MAX,
  RESPONSE_PAD_FRAMES_MAX,
  RESPONSE_PADDING_BYTES,
  RESPONSE_WIRE_MAX_BYTES,
} from './limits.ts';

export const OPENING_BYTES = 48;
const KID_BYTES = 16;

/** What has been seen last; decides what may follow. */
type Stage = 'opened' | 'content' | 'trailer' | 'receipt' | 'ledger' | 'final' | 'gateway-error';

/** Frame type → stages in which it may stand, and the stage after it. Spec: P§10.3. */
interface Rule {
  readonly after: readonly Stage[];
  readonly to: Stage | 'same';
  readonly length: (length: number) => boolean;
  /** Frames that only the gateway adds; a worker that sends one is refused. */
  readonly fromGateway?: true;
}

const isSealedLength = (length: number): boolean =>
  length > TAG_BYTES &&
  length <= SEALED_MAX_BYTES &&
  (length - TAG_BYTES) % RESPONSE_PADDING_BYTES === 0;

const RULES: ReadonlyMap<number, Rule> = new Map<number, Rule>([
  [FRAME.data, { after: ['opened', 'content'], to: 'content', length: isSealedLength }],
  [FRAME.pad, { after: ['content'], to: 'content', length: isSealedLength }],
  [FRAME.trailer, { after: ['content'], to: 'trailer', length: isSealedLength }],
  [
    FRAME.receipt,
    { after: ['content', 'trailer'], to: 'receipt', length: (n) => n === RECEIPT_BYTES },
  ],
  [
    FRAME.ledger,
    {
      after: ['receipt'],
      to: 'ledger',
      length: (n) => n >= 1 && n <= LEDGER_FRAME_MAX_BYTES,
      fromGateway: true,
    },
  ],
  [
    FRAME.final,
    {
      after: ['content', 'trailer', 'receipt', 'ledger'],
      to: 'final',
      length: (n) => n === RESPONSE_PADDING_BYTES + TAG_BYTES,
    },
  ],
  [FRAME.meter, { after: ['content'], to: 'same', length: (n) => n === METER_BYTES }],
  [FRAME.keepalive, { after: ['opened'], to: 'same', length: (n) => n === 0 }],
  [
    FRAME.gatewayError,
    {
      after: ['opened', 'content', 'trailer', 'receipt', 'ledger'],
      to: 'gateway-error',
      length: (n) => n >= 1 && n <= GATEWAY_ERROR_CODE_MAX_BYTES,
      fromGateway: true,
    },
  ],
]);

/** Frames that stand in a tick of their own. Spec: P§10.8. */
const PACED: readonly number[] = [FRAME.data, FRAME.trailer];

/** At a constant rate no type tells whether anything is said, and nobody how far it is. */
const CONSTANT_RULES: ReadonlyMap<number, Rule> = new Map<number, Rule>([
  ...[...RULES].filter(([type]) => type !== FRAME.meter && type !== FRAME.pad),
  ...PACED.map((type): [number, Rule] => {
    const rule = RULES.get(type);
    assert(rule !== undefined, 'a rule for every type');
    return [type, { ...rule, length: (n) => n === CONSTANT_FRAME_BYTES + TAG_BYTES }];
  }),
]);

export interface ResponseStreamPorts {
  readonly onOpening: (kid: Bytes<16>, nonce: Bytes<32>) => void;
  readonly onFrame: (type: number, wire: Uint8Array) => void;
}

export interface ResponseStreamInput {
  readonly ports: ResponseStreamPorts;
  /** `worker`: as the gateway receives it. `gateway`: as the client does. */
  readonly from: 'worker' | 'gateway';
  /** As the request asked for: then another pace is no answer to it. */
  readonly constantRate: boolean;
  readonly wireMaxBytes?: number;
  /** In EHBP an answer may be its last chunk alone, which stands in place of TRAILER. */
  readonly lastAlone?: true;
}

export class ResponseStream {
  readonly #ports: ResponseStreamPorts;
  readonly #from: 'worker' | 'gateway';
  readonly #isConstant: boolean;
  readonly #wireMaxBytes: number;
  readonly #lastAlone: boolean;
  readonly #opening = new Uint8Array(OPENING_BYTES);
  readonly #splitter: FrameSplitter;
  #openingHas = 0;
  #wireBytes = 0;
  #stage: Stage = 'opened';
  #frames = 0;
  #padFrames = 0;
  #paced = 0;
  #keepalives = 0;
  #meters = 0;
  #failure: unknown;

  constructor(input: ResponseStreamInput) {
    this.#ports = input.ports;
    this.#from = input.from;
    this.#isConstant = input.constantRate;
    this.#wireMaxBytes = input.wireMaxBytes ?? RESPONSE_WIRE_MAX_BYTES;
    this.#lastAlone = input.lastAlone === true;
    this.#splitter = new FrameSplitter({
      onHeader: (type, length) => this.#accept(type, length),
      onFrame: input.ports.onFrame,
    });
  }

  /** Throws `sx.response`, `sx.trailing`, `sx.limit` or what a port throws; then every later call throws the same. */
  push(chunk: Uint8Array): void {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      this.#push(chunk);
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  /** The transport ended. Throws `sx.truncated` unless FINAL was the last thing, `sx.gateway` after the gateway's error. */
  end(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#stage === 'gateway-error') throw sxError('sx.gateway');
    if (this.#stage !== 'final' || !this.#splitter.isBetweenFrames) throw sxError('sx.truncated');
  }

  #push(chunk: Uint8Array): void {
    this.#wireBytes += chunk.length;
    if (this.#wireBytes > this.#wireMaxBytes) throw sxError('sx.limit', 'bytes');
    const take = Math.min(OPENING_BYTES - this.#openingHas, chunk.length);
    if (take > 0) {
      this.#opening.set(chunk.subarray(0, take), this.#openingHas);
      this.#openingHas += take;
      if (this.#openingHas < OPENING_BYTES) return;
      const kid = fixed(this.#opening.subarray(0, KID_BYTES), KID_BYTES);
      this.#ports.onOpening(kid, fixed(this.#opening.subarray(KID_BYTES), 32));
    }
    if (take < chunk.length) this.#splitter.push(chunk.subarray(take));
  }

  #accept(type: number, length: number): void {
    if (this.#stage === 'final' || this.#stage === 'gateway-error') throw sxError('sx.trailing');
    const rule = (this.#isConstant ? CONSTANT_RULES : RULES).get(type);
    if (rule === undefined) throw sxError('sx.response', 'frame type');
    if (rule.fromGateway && this.#from === 'worker') throw sxError('sx.response', 'frame type');
    const isFirst = this.#lastAlone && type === FRAME.trailer && this.#stage === 'opened';
    if (!isFirst && !rule.after.includes(this.#stage)) throw sxError('sx.response', 'frame order');
    if (!rule.length(length)) throw sxError('sx.response', 'frame length');
    if (this.#isConstant) this.#pace(type);
    this.#count(type);
    if (rule.to !== 'same') this.#stage = rule.to;
  }

  /** What ends an answer stands only where many answers end. */
  #pace(type: number): void {
    if (PACED.includes(type)) this.#paced++;
    else if (type === FRAME.receipt || type === FRAME.final) {
      if (this.#paced % CONSTANT_FRAMES_STEP !== 0) throw sxError('sx.response', 'frame count');
    }
  }

  #count(type: number): void {
    this.#frames++;
    if (type === FRAME.pad) this.#padFrames++;
    if (type === FRAME.keepalive) this.#keepalives++;
    if (type === FRAME.meter) this.#meters++;
    if (
      this.#frames > RESPONSE_FRAMES_MAX ||
      this.#padFrames > RESPONSE_PAD_FRAMES_MAX ||
      this.#keepalives > RESPONSE_KEEPALIVE_FRAMES_MAX ||
      this.#meters > RESPONSE_METER_FRAMES_MAX
    ) {
      throw sxError('sx.limit', 'frames');
    }
  }
}
