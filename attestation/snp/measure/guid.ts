/**
 * GUIDs as firmware stores them: the first three groups little-endian, the rest as written.
 * Spec: UEFI 2.10, appendix A "GUID and Time Formats".
 * @module
 */

import { concat, fixed, fromHex, type Bytes } from '../../../core/bytes.ts';

/** From the usual text form, which stands in source code only. */
export function guidBytes(text: string): Bytes<16> {
  const [first = '', second = '', third = '', ...rest] = text.split('-');
  const swapped = [first, second, third].map((group) => fromHex(group).reverse());
  return fixed(concat(...swapped, fromHex(rest.join(''))), 16, 'GUID');
}
