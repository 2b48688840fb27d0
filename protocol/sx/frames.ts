/**
 * Frames: type u8 ‖ length u24 ‖ payload. Sealed ones carry u24 data length ‖ data ‖ zeros under AES-256-GCM with the four
 * header bytes as associated data and the frame's number in the nonce. Spec: P§6.2, P§6.3, P§10.3.
 * @module
 */

import { isZero } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { openAes256Gcm, sealAes256Gcm, type AeadKey } from '#primitives';
import { Nonces } from '../nonces.ts';
import type { DirectionKeys } from './key-schedule.ts';
import { FRAME_PLAINTEXT_MAX_BYTES } from './limits.ts';

export const FRAME = {
  data: 0x00,
  final: 0x01,
  pad: 0x02,
  trailer: 0x03,
  receipt: 0x10,
  keepalive: 0x11,
  ledger: 0x12,
  meter: 0x13,
  gatewayError: 0x1f,
} as const;

export const HEADER_BYTES = 4;
export const TAG_BYTES = 16;
export const DATA_LENGTH_BYTES = 3;
export const FRAME_DATA_MAX_BYTES = FRAME_PLAINTEXT_MAX_BYTES - DATA_LENGTH_BYTES;
export const SEALED_MIN_BYTES = DATA_LENGTH_BYTES + TAG_BYTES;
export const SEALED_MAX_BYTES = FRAME_PLAINTEXT_MAX_BYTES + TAG_BYTES;

function writeHeader(out: Uint8Array, type: number, length: number): void {
  out[0] = type;
  out[1] = length >>> 16;
  out[2] = (length >>> 8) & 0xff;
  out[3] = length & 0xff;
}

/** A frame that no key touches. */
export function clearFrame(type: number, payload: Uint8Array): Uint8Array {
  const out = new Uint8Array(HEADER_BYTES + payload.length);
  writeHeader(out, type, payload.length);
  out.set(payload, HEADER_BYTES);
  return out;
}

export class FrameSealer {
  readonly #key: AeadKey;
  readonly #nonces: Nonces;

  constructor(keys: DirectionKeys) {
    this.#key = keys.key;
    this.#nonces = new Nonces(keys.iv);
  }

  /** Of frames that were sealed. */
  get count(): number {
    return this.#nonces.count;
  }

  /** `plaintextBytes` counts the data length, the data and the padding. */
  seal(type: number, data: Uint8Array, plaintextBytes: number): Uint8Array {
    const used = DATA_LENGTH_BYTES + data.length;
    assert(used <= plaintextBytes && plaintextBytes <= FRAME_PLAINTEXT_MAX_BYTES, 'frame size');
    const plaintext = new Uint8Array(plaintextBytes);
    plaintext[0] = data.length >>> 16;
    plaintext[1] = (data.length >>> 8) & 0xff;
    plaintext[2] = data.length & 0xff;
    plaintext.set(data, DATA_LENGTH_BYTES);
    const out = new Uint8Array(HEADER_BYTES + plaintextBytes + TAG_BYTES);
    writeHeader(out, type, plaintextBytes + TAG_BYTES);
    const header = out.subarray(0, HEADER_BYTES);
    out.set(sealAes256Gcm(this.#key, this.#nonces.next(), header, plaintext), HEADER_BYTES);
    return out;
  }
}

export class FrameOpener {
  readonly #key: AeadKey;
  readonly #nonces: Nonces;

  constructor(keys: DirectionKeys) {
    this.#key = keys.key;
    this.#nonces = new Nonces(keys.iv);
  }

  /** Of frames that were opened. */
  get count(): number {
    return this.#nonces.count;
  }

  /** The data without length and padding; undefined when the tag, the length or the padding is wrong. */
  open(wire: Uint8Array): Uint8Array | undefined {
    const header = wire.subarray(0, HEADER_BYTES);
    const sealed = wire.subarray(HEADER_BYTES);
    const plaintext = openAes256Gcm(this.#key, this.#nonces.next(), header, sealed);
    if (plaintext === undefined || plaintext.length < DATA_LENGTH_BYTES) return undefined;
    const [high = 0, middle = 0, low = 0] = plaintext;
    const end = DATA_LENGTH_BYTES + ((high << 16) | (middle << 8) | low);
    if (end > plaintext.length || !isZero(plaintext.subarray(end))) return undefined;
    return plaintext.subarray(DATA_LENGTH_BYTES, end);
  }
}

export interface SplitterPorts {
  /** Throws when no frame of this type and payload length may stand here; nothing has been allocated yet. */
  readonly onHeader: (type: number, length: number) => void;
  /** The whole frame with its header. A view of the chunk where it fits in one. */
  readonly onFrame: (type: number, wire: Uint8Array) => void;
}

/** Cuts a stream that arrives in any pieces into frames. Holds at most one unfinished frame. */
export class FrameSplitter {
  readonly #ports: SplitterPorts;
  readonly #header = new Uint8Array(HEADER_BYTES);
  #headerHas = 0;
  #frame: Uint8Array | undefined;
  #frameHas = 0;

  constructor(ports: SplitterPorts) {
    this.#ports = ports;
  }

  get isBetweenFrames(): boolean {
    return this.#headerHas === 0 && this.#frame === undefined;
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      at = this.isBetweenFrames ? this.#whole(chunk, at) : this.#gather(chunk, at);
    }
  }

  #length(header: Uint8Array, at: number): number {
    const type = header[at] ?? 0;
    const length =
      ((header[at + 1] ?? 0) << 16) | ((header[at + 2] ?? 0) << 8) | (header[at + 3] ?? 0);
    this.#ports.onHeader(type, length);
    return length;
  }

  #whole(chunk: Uint8Array, at: number): number {
    if (chunk.length - at < HEADER_BYTES) return this.#gather(chunk, at);
    const size = HEADER_BYTES + this.#length(chunk, at);
    if (chunk.length - at < size) {
      this.#frame = new Uint8Array(size);
      this.#frame.set(chunk.subarray(at));
      this.#frameHas = chunk.length - at;
      return chunk.length;
    }
    this.#ports.onFrame(chunk[at] ?? 0, chunk.subarray(at, at + size));
    return at + size;
  }

  #gather(chunk: Uint8Array, start: number): number {
    let at = start;
    if (this.#frame === undefined) {
      const take = Math.min(HEADER_BYTES - this.#headerHas, chunk.length - at);
      this.#header.set(chunk.subarray(at, at + take), this.#headerHas);
      this.#headerHas += take;
      at += take;
      if (this.#headerHas < HEADER_BYTES) return at;
      this.#frame = new Uint8Array(HEADER_BYTES + this.#length(this.#header, 0));
      this.#frame.set(this.#header);
      this.#frameHas = HEADER_BYTES;
      this.#headerHas = 0;
    }
    const take = Math.min(this.#frame.length - this.#frameHas, chunk.length - at);
    this.#frame.set(chunk.subarray(at, at + take), this.#frameHas);
    this.#frameHas += take;
    if (this.#frameHas === this.#frame.length) {
      const wire = this.#frame;
      this.#frame = undefined;
      this.#ports.onFrame(wire[0] ?? 0, wire);
    }
    return at + take;
  }
}
