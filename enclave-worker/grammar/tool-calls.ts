/**
 * Reads what a model wrote under the grammar of tools.ts, piece by piece, into text and calls: first a call's name, then
 * its arguments as they come. Pieces may be cut anywhere. Nothing of what could still become a call is shown as text.
 * Spec: docs/structured-output.md "Tool calls"; openai-gateway-and-engine §2.4 rule 3.
 * @module
 */

import { toHex } from '../../core/bytes.ts';
import { randomBytes } from '#primitives';
import { ARGUMENTS_MAX_CHARS, PARALLEL_CALLS_MAX, TOOL_NAME_MAX_CHARS } from './limits.ts';
import { CALL_ARGUMENTS, CALL_CLOSE, CALL_NAME, CALL_OPEN, type ToolCall } from './tool-text.ts';

export type ToolDelta =
  | { readonly kind: 'text'; readonly text: string }
  /** Comes once for each index, before its arguments. */
  | { readonly kind: 'call'; readonly index: number; readonly id: string; readonly name: string }
  | { readonly kind: 'arguments'; readonly index: number; readonly text: string };

export interface ToolEnd {
  readonly deltas: readonly ToolDelta[];
  /** `broken`: the text ended within a call, or is not of the form; what came of that call is not whole. */
  readonly outcome: 'text' | 'calls' | 'broken';
  /** Calls that came to their end. A later one, of which deltas may have come, did not. */
  readonly wholeCalls: number;
}

const ID_BYTES = 12;
/** Line ends between words and a call belong to neither. */
const HELD_SPACE_MAX = 64;

/** OpenAI's form of an id. */
export function newToolCallId(): string {
  return `call_${toHex(randomBytes(ID_BYTES))}`;
}

type Phase =
  | 'text'
  | 'name-before'
  | 'name'
  | 'arguments-before'
  | 'arguments'
  | 'close'
  | 'between'
  | 'broken';

export interface ToolReaderOptions {
  readonly newId: () => string;
  /** `json`: an answer without calls is JSON, which may hold the opening of a call in a string. */
  readonly answer: 'text' | 'json';
}

export class ToolCallReader {
  readonly #options: ToolReaderOptions;
  #phase: Phase = 'text';
  /** What has come and is not used yet; short, except in `push`. */
  #held = '';
  #plain = false;
  #index = -1;
  #wholeCalls = 0;
  #nesting = new Nesting();

  constructor(options: ToolReaderOptions) {
    this.#options = options;
  }

  push(text: string): readonly ToolDelta[] {
    this.#held += text;
    const out: ToolDelta[] = [];
    for (let phase: Phase | undefined; phase !== this.#phase;) {
      phase = this.#phase;
      this.#advance(out);
    }
    return out;
  }

  /** No more text comes. */
  end(): ToolEnd {
    const rest = this.#held;
    this.#held = '';
    const wholeCalls = this.#wholeCalls;
    if (this.#phase === 'text') {
      const deltas: readonly ToolDelta[] = rest === '' ? [] : [{ kind: 'text', text: rest }];
      return { deltas, outcome: 'text', wholeCalls };
    }
    const isWhole = this.#phase === 'between' && rest.trim() === '';
    return { deltas: [], outcome: isWhole ? 'calls' : 'broken', wholeCalls };
  }

  #advance(out: ToolDelta[]): void {
    switch (this.#phase) {
      case 'text':
        return this.#text(out);
      case 'between':
        return this.#between();
      case 'name-before':
        return this.#expect(CALL_NAME, 'name');
      case 'name':
        return this.#name(out);
      case 'arguments-before':
        return this.#expect(CALL_ARGUMENTS, 'arguments');
      case 'arguments':
        return this.#arguments(out);
      case 'close':
        return this.#expect(CALL_CLOSE, 'between');
      case 'broken':
        this.#held = '';
    }
  }

  #text(out: ToolDelta[]): void {
    const at = this.#plain ? -1 : this.#openingAt();
    const shown = at >= 0 ? this.#held.slice(0, at).trimEnd() : this.#shownText();
    if (shown !== '') out.push({ kind: 'text', text: shown });
    if (at < 0) {
      this.#held = this.#held.slice(shown.length);
      return;
    }
    this.#held = this.#held.slice(at + CALL_OPEN.length);
    this.#phase = 'name-before';
  }

  /** JSON that has begun stays JSON. */
  #openingAt(): number {
    if (this.#options.answer === 'text') return this.#held.indexOf(CALL_OPEN);
    if (this.#held.startsWith(CALL_OPEN)) return 0;
    this.#plain = !CALL_OPEN.startsWith(this.#held);
    return -1;
  }

  /** All but an end that could be the beginning of a call, and the white space before it. */
  #shownText(): string {
    if (this.#plain) return this.#held;
    let held = 0;
    for (let size = 1; size < CALL_OPEN.length; size++) {
      if (CALL_OPEN.startsWith(this.#held.slice(-size))) held = Math.min(size, this.#held.length);
    }
    const before = this.#held.slice(0, this.#held.length - held);
    const words = before.trimEnd();
    return before.length - words.length > HELD_SPACE_MAX ? before : words;
  }

  #between(): void {
    const rest = this.#held.trimStart();
    if (rest.startsWith(CALL_OPEN)) {
      this.#held = rest.slice(CALL_OPEN.length);
      this.#phase = 'name-before';
      return;
    }
    if (!CALL_OPEN.startsWith(rest) || this.#held.length - rest.length > HELD_SPACE_MAX) {
      this.#phase = 'broken';
    }
  }

  #expect(text: string, next: Phase): void {
    if (this.#held.startsWith(text)) {
      this.#held = this.#held.slice(text.length);
      this.#phase = next;
      if (next === 'between') this.#wholeCalls++;
    } else if (!text.startsWith(this.#held)) this.#phase = 'broken';
  }

  #name(out: ToolDelta[]): void {
    const end = this.#held.indexOf('"');
    const name = end < 0 ? this.#held : this.#held.slice(0, end);
    const isName = /^[A-Za-z0-9_-]*$/.test(name) && name.length <= TOOL_NAME_MAX_CHARS;
    if (!isName || end === 0 || this.#index + 1 >= PARALLEL_CALLS_MAX) {
      this.#phase = 'broken';
    } else if (end > 0) {
      this.#index++;
      this.#held = this.#held.slice(end);
      this.#nesting = new Nesting();
      this.#phase = 'arguments-before';
      out.push({ kind: 'call', index: this.#index, id: this.#options.newId(), name });
    }
  }

  #arguments(out: ToolDelta[]): void {
    const used = this.#nesting.take(this.#held);
    if (used === 'broken') {
      this.#phase = 'broken';
      return;
    }
    const text = this.#held.slice(0, used);
    this.#held = this.#held.slice(used);
    if (text !== '') out.push({ kind: 'arguments', index: this.#index, text });
    if (this.#nesting.ended) this.#phase = 'close';
  }
}

/** Where an object ends: brackets outside strings. */
class Nesting {
  #depth = 0;
  #inString = false;
  #escaped = false;
  #chars = 0;
  ended = false;

  /** How much of `text` belongs to the object. */
  take(text: string): number | 'broken' {
    for (let at = 0; at < text.length; at++) {
      const char = text[at] ?? '';
      if (this.#depth === 0 && char !== '{') return 'broken';
      this.#step(char);
      if (++this.#chars > ARGUMENTS_MAX_CHARS) return 'broken';
      if (this.#depth > 0) continue;
      this.ended = true;
      return at + 1;
    }
    return text.length;
  }

  #step(char: string): void {
    if (this.#escaped) {
      this.#escaped = false;
    } else if (this.#inString) {
      this.#escaped = char === '\\';
      this.#inString = char !== '"';
    } else if (char === '"') {
      this.#inString = true;
    } else if (char === '{' || char === '[') {
      this.#depth++;
    } else if (char === '}' || char === ']') {
      this.#depth--;
    }
  }
}

export interface ToolAnswer {
  /** Null when there are calls and no words. */
  readonly content: string | null;
  readonly calls: readonly ToolCall[];
  readonly outcome: ToolEnd['outcome'];
}

/** The same for an answer that is whole. A call that is not whole is left out; `outcome` says so. */
export function readToolCalls(text: string, options: ToolReaderOptions): ToolAnswer {
  const reader = new ToolCallReader(options);
  const deltas = reader.push(text);
  const { deltas: last, outcome, wholeCalls } = reader.end();
  let content = '';
  const calls: { id: string; name: string; arguments: string }[] = [];
  for (const delta of [...deltas, ...last]) {
    if (delta.kind === 'text') content += delta.text;
    else if (delta.kind === 'call') calls.push({ id: delta.id, name: delta.name, arguments: '' });
    else {
      const call = calls[delta.index];
      if (call !== undefined) call.arguments += delta.text;
    }
  }
  const whole = calls.slice(0, wholeCalls);
  return { content: content === '' && whole.length > 0 ? null : content, calls: whole, outcome };
}
