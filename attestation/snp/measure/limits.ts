/** Bounds of everything that a launch digest is computed from. @module */

/** QEMU refuses firmware above its `max-fw-size`, at most 16 MiB; real images have 2 to 8 MiB. */
export const FIRMWARE_MAX_BYTES = 16 * 1024 * 1024;
/** OVMF declares five to nine. */
export const SECTIONS_MAX = 64;
/** Of all sections together: 64 MiB, where OVMF has about thirty pages. A digest is extended once for each. */
export const SECTION_PAGES_MAX = 16_384;
/** KVM's own limit. */
export const VCPUS_MAX = 4096;
/** Linux takes 2048 bytes on x86. */
export const COMMAND_LINE_MAX_BYTES = 64 * 1024;
