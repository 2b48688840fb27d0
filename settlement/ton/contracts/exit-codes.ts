/**
 * Exit codes of the contracts by name. They are API: the `.tolk` files are compared with this table by a test.
 * @module
 */

/** Codes that every contract shares with the virtual machine. */
export const TVM_EXIT = {
  rangeCheck: 5,
  /** Bits or refs of a body missing or left over. */
  bodyForm: 9,
  unknownOp: 0xffff,
} as const;

export const CHANNEL_EXIT = {
  value: 100,
  status: 101,
  epoch: 102,
  stale: 103,
  ceiling: 104,
  available: 105,
  payerSignature: 106,
  chargeSignature: 107,
  sender: 108,
  locked: 109,
  dust: 110,
  retired: 111,
  window: 112,
  workchain: 113,
  cover: 114,
} as const;

export const REGISTRY_EXIT = {
  value: 100,
  sender: 108,
  locked: 109,
  pending: 201,
  nothing: 202,
  version: 203,
  kind: 204,
  proposal: 205,
} as const;

export const ANCHOR_EXIT = {
  cover: 114,
  seq: 301,
  expired: 302,
  signature: 303,
} as const;

/** Beside those of CHANNEL_EXIT. */
export const JETTON_EXIT = {
  walletKnown: 120,
  walletUnknown: 121,
  notMinter: 122,
  notWallet: 123,
  asset: 124,
} as const;
