/**
 * The characters that stand for bytes in a byte-level vocabulary: printable bytes for themselves, the rest for U+0100 and on, in
 * order. Spec: GPT-2 `bytes_to_unicode`. @module
 */

export const BYTES = 256;

export const BYTE_CHARACTERS: readonly string[] = characters();

function characters(): readonly string[] {
  let next = BYTES;
  return Array.from({ length: BYTES }, (_, byte) => {
    const isPrintable =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte !== 0xad);
    return String.fromCodePoint(isPrintable ? byte : next++);
  });
}
