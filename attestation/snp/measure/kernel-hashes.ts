/**
 * The page that binds kernel, initrd and command line to the launch digest, where QEMU boots a kernel directly with
 * `kernel-hashes=on`. Firmware compares what the host hands over with the hashes of this page.
 * Spec: QEMU, target/i386/sev.c, `SevHashTable` and `build_kernel_loader_hashes`.
 * @module
 */

import { sha256 } from '#primitives';
import { concat, utf8, type Bytes } from '../../../core/bytes.ts';
import { measureError } from './errors.ts';
import { guidBytes } from './guid.ts';
import { COMMAND_LINE_MAX_BYTES } from './limits.ts';
import type { Ovmf, OvmfSection } from './ovmf.ts';
import { PAGE_BYTES } from './page-info.ts';

/** SHA-256 of each part. */
export interface KernelHashes {
  readonly kernel: Bytes<32>;
  readonly initrd: Bytes<32>;
  /** Of the command line and its terminating zero byte. */
  readonly commandLine: Bytes<32>;
}

export interface KernelBoot {
  /** SHA-256 of the kernel file. */
  readonly kernel?: Bytes<32>;
  /** SHA-256 of the initrd file. Without it, that of no bytes, as QEMU has it. */
  readonly initrd?: Bytes<32>;
  readonly commandLine: string;
}

/**
 * Undefined without a kernel. Throws `measure.kernel_missing` when there is something to hand to a kernel but no
 * kernel, and `measure.command_line`.
 */
export function kernelHashesOf(boot: KernelBoot): KernelHashes | undefined {
  const { kernel, initrd, commandLine } = boot;
  if (kernel === undefined) {
    if (initrd === undefined && commandLine === '') return undefined;
    const what = initrd === undefined ? 'a command line' : 'an initrd';
    throw measureError('measure.kernel_missing', `${what} is measured only together with a kernel`);
  }
  return {
    kernel,
    initrd: initrd ?? sha256(),
    commandLine: sha256(commandLineBytes(commandLine), Uint8Array.of(0)),
  };
}

function commandLineBytes(text: string): Uint8Array {
  // A zero byte would end the line for the guest and not for the hash; half a surrogate pair has no encoding.
  if (text.includes('\0') || !text.isWellFormed()) throw measureError('measure.command_line');
  const bytes = utf8(text);
  if (bytes.length > COMMAND_LINE_MAX_BYTES) {
    throw measureError('measure.command_line', `at most ${COMMAND_LINE_MAX_BYTES} bytes`);
  }
  return bytes;
}

const TABLE = guidBytes('9438d606-4f22-4cc9-b479-a793d411fd21');
const COMMAND_LINE = guidBytes('97d02dd8-bd20-4c94-aa78-e7714d36ab2a');
const INITRD = guidBytes('44baf731-3a2f-4bd7-9af1-41e29169781d');
const KERNEL = guidBytes('4de79437-abd2-427f-b835-d5b172d2045b');

const ENTRY_BYTES = 16 + 2 + 32;
const TABLE_BYTES = 16 + 2 + 3 * ENTRY_BYTES;
/** `PaddedSevHashTable`: rounded up to 16 bytes with zeros. */
const PADDED_TABLE_BYTES = Math.ceil(TABLE_BYTES / 16) * 16;

function hashTableBytes({ kernel, initrd, commandLine }: KernelHashes): Uint8Array {
  const size = Uint8Array.of(ENTRY_BYTES, 0);
  return concat(
    concat(TABLE, Uint8Array.of(TABLE_BYTES, 0)),
    concat(COMMAND_LINE, size, commandLine),
    concat(INITRD, size, initrd),
    concat(KERNEL, size, kernel),
  );
}

/**
 * The one section that must receive the hashes. QEMU writes the table at its address within the page, whatever page
 * that is; firmware reads it at its address, so anywhere else the hashes would bind nothing.
 * Throws `measure.kernel_hashes`.
 */
export function kernelHashesPage(
  { hashTable }: Ovmf,
  section: OvmfSection,
  hashes: KernelHashes,
): Uint8Array {
  if (hashTable === undefined) {
    throw measureError('measure.kernel_hashes', 'this firmware has no table for kernel hashes');
  }
  const offset = hashTable.gpa - section.gpa;
  const isInside = offset >= 0 && offset + PADDED_TABLE_BYTES <= PAGE_BYTES;
  if (section.sizeBytes !== PAGE_BYTES || !isInside || hashTable.sizeBytes < PADDED_TABLE_BYTES) {
    throw measureError('measure.kernel_hashes', 'table and page for kernel hashes do not agree');
  }
  const page = new Uint8Array(PAGE_BYTES);
  page.set(hashTableBytes(hashes), offset);
  return page;
}
