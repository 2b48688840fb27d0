/**
 * What must not be found anywhere, and the search for it: a secret in every form in which it could have been written, in
 * everything that any part wrote, said or showed. @module
 */

import { toBase64, toBase64Url, toHex, utf8 } from '../../core/bytes.ts';

export interface Trace {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface Secret {
  /** For the report: a secret itself is not printed. */
  readonly name: string;
  readonly forms: readonly Form[];
}

export interface Form {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Base64 of a text inside another text depends on where it begins: three alignments, without the edge characters. */
function base64Forms(bytes: Uint8Array): readonly Form[] {
  return [0, 1, 2].flatMap((shift) => {
    const shifted = new Uint8Array(bytes.length + shift);
    shifted.set(bytes, shift);
    const from = shift === 0 ? 0 : 4;
    const cut = (text: string): Uint8Array => utf8(text.replaceAll('=', '').slice(from, -4));
    return [
      { name: `base64+${shift}`, bytes: cut(toBase64(shifted)) },
      { name: `base64url+${shift}`, bytes: cut(toBase64Url(shifted)) },
    ];
  });
}

export function formsOf(text: string): readonly Form[] {
  const bytes = utf8(text);
  return [
    { name: 'raw', bytes },
    { name: 'hex', bytes: utf8(toHex(bytes)) },
    { name: 'HEX', bytes: utf8(toHex(bytes).toUpperCase()) },
    { name: 'json', bytes: utf8(JSON.stringify(text).slice(1, -1)) },
    { name: 'json ascii', bytes: utf8(asciiJson(text)) },
    { name: 'utf-16', bytes: Buffer.from(text, 'utf16le') },
    { name: 'url', bytes: utf8(encodeURIComponent(text)) },
    ...base64Forms(bytes),
  ];
}

function asciiJson(text: string): string {
  return JSON.stringify(text)
    .slice(1, -1)
    .replaceAll(/[\u0080-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

export function holds(hay: Uint8Array, needle: Uint8Array): boolean {
  return Buffer.from(hay.buffer, hay.byteOffset, hay.length).includes(Buffer.from(needle));
}

/** Of keys and signatures. */
export function formsOfBytes(bytes: Uint8Array): readonly Form[] {
  return [
    { name: 'raw', bytes },
    { name: 'hex', bytes: utf8(toHex(bytes)) },
    { name: 'HEX', bytes: utf8(toHex(bytes).toUpperCase()) },
    { name: 'bytes in JSON', bytes: utf8(JSON.stringify([...bytes]).slice(1, -1)) },
    ...base64Forms(bytes),
  ];
}

/** One line for each find; none is what a test wants. */
export function findsIn(traces: readonly Trace[], secrets: readonly Secret[]): readonly string[] {
  return traces.flatMap(({ name, bytes }) =>
    secrets.flatMap((secret) =>
      secret.forms
        .filter((form) => holds(bytes, form.bytes))
        .map((form) => `${form.name} of ${secret.name} in ${name}`),
    ),
  );
}
