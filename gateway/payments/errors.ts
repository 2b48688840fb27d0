/**
 * Why a request is not paid for. Codes are those of the ledger's port, in its own words at an SDK's edge; none of them is
 * ever answered with 409 or 429, which SDKs repeat. Spec: ton-settlement §4.5; overview "Once only".
 * @module
 */

import { defineErrors, type ErrorSpec } from '../../core/errors.ts';

const DUE: ErrorSpec = { status: 402, recovery: 'fix_request', public: 'Payment is required.' };
const TERMS: ErrorSpec = { status: 400, recovery: 'fix_request', public: '' };
const SOON: ErrorSpec = { status: 503, recovery: 'retry_later', public: '' };

export const paymentError = defineErrors({
  'payment.channel_unknown': {
    ...DUE,
    public: 'The payment channel is not known here. Announce it with POST /v1/channels.',
  },
  'payment.asset_unsupported': {
    ...DUE,
    public: 'The workers of this request are not paid in the asset of this account.',
  },
  'payment.account_frozen': {
    ...DUE,
    recovery: 'stop',
    public: 'The account is frozen. Ask the operator of the gateway.',
  },
  'payment.account_free': {
    ...DUE,
    recovery: 'stop',
    public: 'This gateway takes no money, and the workers of this request ask for some.',
  },
  'payment.quote_expired': { ...DUE, public: 'The price is not valid any more.' },
  'payment.epoch_mismatch': { ...DUE, public: 'The voucher is of another epoch of the channel.' },
  'payment.voucher_stale': { ...DUE, public: 'The gateway holds a higher voucher than this one.' },
  'payment.voucher_bad_signature': {
    ...DUE,
    public: 'The voucher is not signed by the key of its channel.',
  },
  'payment.insufficient_ceiling': {
    ...DUE,
    public: 'The voucher does not cover the most that this request can cost.',
  },
  'payment.insufficient_deposit': {
    ...DUE,
    public: 'The balance of this account does not cover the most that this request can cost.',
  },
  'payment.channel_closing': {
    ...DUE,
    public: 'The channel is being withdrawn from, and what is left does not cover this request.',
  },
  /** More than may be owed before the chain has confirmed the channel. */
  'payment.ramp_cap': {
    ...DUE,
    public: 'The channel is new: until its first claim is seen on chain it may owe no more.',
  },
  'payment.pass_invalid': {
    ...DUE,
    status: 403,
    public:
      'The pass beside the voucher is missing, over, or not signed by the key of the channel.',
  },
  /** Of a bearer token: its expiry, its models or its cap. */
  'payment.bearer_forbids': {
    ...DUE,
    status: 403,
    public: 'The token does not allow this request.',
  },
  // Of announcing, reading or closing a channel.
  'payment.channels_refused': {
    ...TERMS,
    recovery: 'stop',
    public: 'This gateway takes no payment channels.',
  },
  'payment.wrong_network': { ...TERMS, public: 'The channel is on another network.' },
  'payment.wrong_payee': { ...TERMS, public: 'The channel pays somebody else.' },
  'payment.wrong_payee_key': {
    ...TERMS,
    public: 'The channel names another key than the one that signs charges here.',
  },
  'payment.delay_too_short': {
    ...TERMS,
    public: 'The withdraw delay of the channel is shorter than this gateway needs.',
  },
  'payment.key_unsound': {
    ...TERMS,
    public: "The payer's key is one under which anybody could sign.",
  },
  'payment.code_hash_unknown': {
    ...TERMS,
    public: 'The contract at this address is not one that this gateway knows.',
  },
  'payment.channel_idle': { ...TERMS, public: 'Nothing is deposited in the channel.' },
  'payment.deposit_too_small': {
    ...TERMS,
    public: 'The deposit is smaller than this gateway asks for.',
  },
  'payment.chain_regressed': {
    ...TERMS,
    status: 502,
    recovery: 'retry_later',
    public: 'The chain is said to be where it cannot have gone back to.',
  },
  'payment.chain_stale': { ...SOON, public: 'The chain was read at an older block than before.' },
  'payment.chain_away': { ...SOON, public: 'The chain cannot be read at the moment.' },
  'payment.channels_full': { ...SOON, public: 'This gateway keeps no more channels.' },
  'payment.requests_open': {
    ...TERMS,
    status: 409,
    recovery: 'retry_later',
    public: 'Requests of this channel are running. Close it when they have ended.',
  },
  'payment.voucher_needed': {
    ...TERMS,
    public: 'Nothing was promised on the channel: withdraw instead, nobody has a claim on it.',
  },
  'payment.channel_unsynced': {
    ...SOON,
    public: 'The gateway has not read the channel from the chain yet, or not for too long.',
  },
  /** What an account was opened with is not what is shown now. */
  'payment.account_differs': {
    ...DUE,
    status: 400,
    public: 'The account was opened with other terms.',
  },
});
