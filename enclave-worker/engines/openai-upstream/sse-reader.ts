/**
 * Reads server-sent events strictly: bytes in, the data of whole events out. Lines end with LF, CRLF or CR; comments are
 * skipped; several lines of data are joined; an event that is too large or not UTF-8 is an error. What is not ended by an
 * empty line never was an event. Spec: WHATWG HTML §9.2.6; openai-gateway-and-engine §6 rule 3.
 * @module
 */

import { Gatherer, fromUtf8 } from '../../../core/bytes.ts';
import { upstreamError } from './errors.ts';
import { EVENT_MAX_BYTES } from './limits.ts';

export interface SseEvent {
  /** `message` unless it says otherwise. */
  readonly name: string;
  readonly data: string;
}

const LF = 0x0a;
const CR = 0x0d;
const BOM = '\uFEFF';

export class SseReader {
  readonly #maxBytes: number;
  #line = new Gatherer();
  #eventBytes = 0;
  #data: string[] = [];
  #name = '';
  #skipLf = false;
  #isFirst = true;

  constructor(maxBytes = EVENT_MAX_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** Throws `engine.upstream`. */
  push(chunk: Uint8Array): readonly SseEvent[] {
    const events: SseEvent[] = [];
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      if (byte === LF && this.#skipLf && at === start) {
        this.#skipLf = false;
        start = at + 1;
        continue;
      }
      this.#skipLf = false;
      if (byte !== LF && byte !== CR) continue;
      this.#take(chunk.subarray(start, at));
      const event = this.#endLine();
      if (event !== undefined) events.push(event);
      this.#skipLf = byte === CR;
      start = at + 1;
    }
    this.#take(chunk.subarray(start));
    return events;
  }

  #take(bytes: Uint8Array): void {
    this.#eventBytes += bytes.length;
    if (this.#eventBytes > this.#maxBytes) throw upstreamError('event-size');
    this.#line.push(bytes);
  }

  #endLine(): SseEvent | undefined {
    const line = this.#text();
    if (line !== '') {
      this.#field(line);
      return undefined;
    }
    this.#eventBytes = 0;
    const data = this.#data;
    const name = this.#name === '' ? 'message' : this.#name;
    this.#data = [];
    this.#name = '';
    return data.length === 0 ? undefined : { name, data: data.join('\n') };
  }

  #text(): string {
    const bytes = this.#line.bytes();
    if (bytes.length > 0) this.#line = new Gatherer();
    let text: string;
    try {
      text = fromUtf8(bytes);
    } catch (cause) {
      throw upstreamError('utf8', cause);
    }
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    return isFirst && text.startsWith(BOM) ? text.slice(BOM.length) : text;
  }

  #field(line: string): void {
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const field = colon === -1 ? line : line.slice(0, colon);
    const rest = colon === -1 ? '' : line.slice(colon + 1);
    const value = rest.startsWith(' ') ? rest.slice(1) : rest;
    if (field === 'data') this.#data.push(value);
    if (field === 'event') this.#name = value;
  }
}
