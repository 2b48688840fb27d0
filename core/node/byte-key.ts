/** Byte strings as keys of a Map. @module */

/** One character per byte, in order of the bytes. A tenth of what spelling it out in hex takes, and flat. */
export function byteKey(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
