/** Every bound of the client in one place. @module */

/** Sealed to so many by default: enough to fail over, few enough to keep the request small. */
export const RECIPIENTS_DEFAULT = 3;
export const CANDIDATES_MAX = 64;
export const MODELS_MAX = 64;
export const GATEWAYS_MAX = 8;

export const REQUEST_BODY_MAX_BYTES = 33_000_000;
export const ANSWER_MAX_BYTES = 67_108_864;
export const GATEWAY_DOCUMENT_MAX_BYTES = 65_536;
export const MODEL_LIST_MAX_BYTES = 1_048_576;
/** Sixty-four bundles at their cap would be more; a gateway that needs more than this pages wrongly. */
export const EVIDENCE_MAX_BYTES = 33_554_432;
/** JSON text of one bundle, with what is published beside it. */
export const GATEWAY_EVIDENCE_MAX_BYTES = 4_194_304;
/** Evidence of a worker as JSON, and a bill. */
export const ANSWER_PROOF_MAX_BYTES = 4_194_304;
/** A proof of an answer with the evidence of its gateway, both in base64. */
export const ATTESTED_PROOF_MAX_BYTES = 67_108_864;
export const ERROR_BODY_MAX_BYTES = 65_536;

export const DOCUMENT_TIMEOUT_MS = 20_000;
/** Of a list of models, all names of it together. */
export const MODELS_TIMEOUT_MS = 60_000;
/** Of one published document. */
export const PUBLICATION_TIMEOUT_MS = 10_000;
/** Of a look at the app's own place while what the gateway shows is fresh. */
export const SECOND_LOOK_TIMEOUT_MS = 3000;
/** A place of the app's own is looked at this often although what the gateway shows is fresh. */
export const PUBLICATION_INTERVAL_MS = 300_000;
/** In the list of what was accepted; older ones go. */
export const ACCEPTED_MAX = 16_384;
/** Between two renewals, failed ones and those of keys that end soon. */
export const RENEWAL_PAUSE_MS = 5000;
/** Keys are looked up anew after this long although they still live: workers come and go. */
export const KEYS_MAX_AGE_MS = 300_000;

/** Between FINAL and the end of the connection's answer; after that a whole answer is one without it. */
export const END_TIMEOUT_MS = 5000;

export const TTL_S = 120;
export const DEADLINE_MS = 600_000;
/** A byte is at least one token; the chat template around the messages adds these. */
export const TEMPLATE_TOKENS = 512;
/** Sealed answers wait in memory up to this much when the app reads slowly. */
export const READ_AHEAD_BYTES = 65_536;

/** Ledger lines that a payer keeps to hold new ones against. */
export const STATEMENTS_KEPT = 32;
/** All of `LOST_KEPT` with all their recipients, and the statements, are less. */
export const PAY_STATE_MAX_BYTES = 524_288;
export const CHANNEL_FILE_MAX_BYTES = 16_384;
export const BILL_MAX_BYTES = 131_072;
/** A proof holds evidence, a reader's state and a bill. A state may be larger by its own bound; none of use is. */
export const PROOF_MAX_BYTES = 33_554_432;
/** From the deadline of a request: by then the app has read its answer, and the bill behind it is made. */
export const BILLED_WITHIN_MS = 3_600_000;
export const FAULTS_MAX = 16;
/**
 * Longest deadline, longest time to live, a minute, and the quarter of an hour for which a gateway that broke down waits for
 * a receipt: after that no request of ours is under way at a gateway, and none is charged any more.
 */
export const STRANDED_MS = 1_800_000 + 300_000 + 60_000 + 900_000;
/** Longest time to live and a minute for clocks that differ: after that no gateway admits a request of ours that it has not seen. */
export const ADMISSION_MS = 300_000 + 60_000;
/**
 * Requests that may have run and that nobody has shown a bill for: with so many no more is signed, until one at a time once
 * `STRANDED_MS` is over for all of them. It is what a gateway gains that takes vouchers and cuts every answer, beside what is
 * under way.
 */
export const UNBILLED_MAX = 8;
/** Lost requests whose fate the gateway is asked for; of the oldest beyond it only the sum is kept. */
export const LOST_KEPT = 64;
/** Questions in one go, for how long at most, and how long until the same one is put again. */
export const ASK_AT_ONCE = 16;
export const ASK_TIMEOUT_MS = 2000;
export const ASK_PAUSE_MS = 300;
/** A receipt and a ledger line in base64, and a dozen small members. */
export const SETTLEMENT_MAX_BYTES = 8192;
/**
 * What one request may cost where the app does not say `maxAmount`: 1 TON, 5 USDT. A card is its owner's to write, and one
 * signature covers what it asks; without this, one request could be worth all that a channel holds.
 */
export const AMOUNT_DEFAULT_MAX = { TON: 1_000_000_000n, USDT: 5_000_000n } as const;
/** A request, and once more after a demand that could be met. */
export const PAY_ATTEMPTS = 2;
/** Tokens of output in a chunk, as a gateway takes it (P§10.7). */
export const CHUNK_TOKENS_MAX = 1_000_000;
/** A raised voucher that got lost, until the answer goes on without it. */
export const RAISE_ATTEMPTS = 3;
export const RAISE_PAUSE_MS = 200;
export const RAISE_TIMEOUT_MS = 5000;
/** The answer to `POST /v1/channels` is not read. */
export const ANNOUNCE_TIMEOUT_MS = 30_000;

/**
 * Tokens per choice that leave no byte behind: those that end or begin a message, white space that is trimmed, the one that
 * a stop sequence was found in.
 */
export const SPECIAL_TOKENS_PER_CHOICE = 64;
/** Where an answer leaves out what was written. A receipt that says more than the request allowed is refused before. */
export const UNSEEN_TOKENS_MAX = 0xffff_ffff;
/** Mark-up around each call of a tool. */
export const SPECIAL_TOKENS_PER_TOOL_CALL = 64;
/** A model may spell a text with more tokens than its tokenizer would: so many in a thousand. */
export const RETOKENIZED_PER_MILLE = 20;
/** Of a growing text, so much is counted anew at each look. */
export const TALLY_SPAN_CHARS = 4096;
/** Of a pass: whoever gets hold of one can spend beside us for so long at most. Another is signed at half of it. */
export const PASS_LIFETIME_MS = 3_600_000;
