/**
 * Calls of tools out of an upstream's deltas, numbered from 0 in the order in which they begin, under ids of our own: those
 * that servers make are numbers, repeat, or change. A call never changes what it calls. Spec: openai-gateway-and-engine §2.4
 * rule 3, §6 rule 4.
 * @module
 */

import { utf8 } from '../../../core/bytes.ts';
import { parseJson } from '../../../core/json.ts';
import type { CallPiece } from '../../../protocol/openai/answer-shape.ts';
import { newToolCallId } from '../../grammar/tool-calls.ts';
import type { UpstreamCall } from './chunk.ts';
import { upstreamError } from './errors.ts';
import { CALLS_MAX, EVENT_MAX_BYTES } from './limits.ts';

interface Call {
  readonly number: number;
  readonly name: string;
  id: string;
  text: string;
}

export class CallReader {
  readonly #calls: Call[] = [];
  /** By the number that the upstream has for it. */
  readonly #byIndex = new Map<number, Call>();

  get count(): number {
    return this.#calls.length;
  }

  /** Throws `engine.upstream`. */
  push({ index, id, function: said }: UpstreamCall): readonly CallPiece[] {
    const name = said?.name ?? '';
    const heard = id === null || id === undefined ? '' : String(id);
    const known = this.#known(index, heard, name);
    const call = known ?? this.#begin(index, heard, name);
    if (known !== undefined) assertSame(known, heard, name);
    const pieces: CallPiece[] =
      known === undefined
        ? [{ kind: 'call', index: call.number, id: newToolCallId(), name: call.name }]
        : [];
    const text = textOf(said?.arguments).toWellFormed();
    if (text === '') return pieces;
    call.text += text;
    return [...pieces, { kind: 'arguments', index: call.number, text }];
  }

  /** So many calls from the first have arguments that a program could read. */
  whole(): number {
    const broken = this.#calls.findIndex(({ text }) => !isObject(text));
    return broken === -1 ? this.#calls.length : broken;
  }

  /** Servers that do not number their calls begin each one with its name. */
  #known(index: number | null | undefined, id: string, name: string): Call | undefined {
    if (index !== null && index !== undefined) return this.#byIndex.get(index);
    const last = this.#calls.at(-1);
    return name === '' || (last !== undefined && id !== '' && last.id === id) ? last : undefined;
  }

  #begin(index: number | null | undefined, id: string, name: string): Call {
    if (name === '' || this.#calls.length >= CALLS_MAX) throw upstreamError('call-form');
    const call: Call = { number: this.#calls.length, name, id, text: '' };
    this.#calls.push(call);
    if (index !== null && index !== undefined) this.#byIndex.set(index, call);
    return call;
  }
}

function assertSame(call: Call, id: string, name: string): void {
  if (name !== '' && name !== call.name) throw upstreamError('call-identity');
  if (id === '') return;
  if (call.id === '') call.id = id;
  if (id !== call.id) throw upstreamError('call-identity');
}

function textOf(given: string | Readonly<Record<string, unknown>> | null | undefined): string {
  if (given === null || given === undefined) return '';
  return typeof given === 'string' ? given : JSON.stringify(given);
}

function isObject(text: string): boolean {
  try {
    const json = parseJson(utf8(text), EVENT_MAX_BYTES);
    return typeof json === 'object' && json !== null && !Array.isArray(json);
  } catch {
    return false; // an answer: it is not
  }
}
