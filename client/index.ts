/** The package's entrance: `sealedFetch` for OpenAI's SDK, `openSession` without it. @module */

export { sealedFetch, type SealedFetch } from './sealed-fetch.ts';
export {
  openSession,
  type ClientOptions,
  type CompleteAnswer,
  type OpenSessionOptions,
  type SealedCall,
  type SealedSession,
} from './open-session.ts';
export { openEhbp, type EhbpAddress, type EhbpDirectory } from './ehbp/addresses.ts';
export { wholeAnswers } from './ehbp/whole-answers.ts';
export type { WorkerVerdict } from './session.ts';
export type { CeilingPolicy } from './pay/account.ts';
export type { Settlement } from './pay/line.ts';
export type { ChannelParts, PayOption } from './pay/open-payer.ts';
export type { HeldBack, PayFault } from './pay/payer.ts';
export type { PayMemory } from './pay/pay-memory.ts';
export { resumePaying } from './pay/resume.ts';
export { formatAmount } from '../settlement/money.ts';
export type { KeptProof } from './proof/keep-proof.ts';
export { checkProof, type CheckedProof, type ProofPins } from './proof/check-response.ts';
export { parseProof, type ResponseProof } from './proof/response-proof.ts';
export type { PolicySource, SignedPolicy } from './policy-source.ts';
export type { PolicyStore, StoredPolicy } from './policy-memory.ts';
export type { PolicyNews } from './signed-trust.ts';
