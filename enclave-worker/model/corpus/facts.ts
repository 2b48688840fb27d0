/**
 * What the model is to know: about Veilgate as it is, and how to be polite. A question that is not here, nor in exercises.ts or
 * stories.ts, is to be declined. @module
 */

import type { Dice } from './dice.ts';

export interface Fact {
  /** The first is the one that documents show. */
  readonly questions: readonly [string, ...string[]];
  readonly answer: string;
}

/** Questions that only ask what something is. */
function defined(term: string, answer: string, ...more: readonly string[]): Fact {
  const bare = term.replace(/^(an?|the) /, '');
  return {
    questions: [
      `What is ${term}?`,
      `What's ${term}?`,
      `Explain ${term}.`,
      `Can you explain ${term}?`,
      `Define ${bare}.`,
      `Do you know what ${term} is?`,
      `Tell me what ${term} is.`,
      `Tell me about ${term}.`,
      ...more,
    ],
    answer,
  };
}

export const FACTS: readonly Fact[] = [
  defined(
    'remote attestation',
    'Remote attestation is a way for a machine to prove which software it runs. The hardware signs a measurement, and you check the signature before you send any data.',
    'What is attestation?',
    'How does remote attestation work?',
  ),
  defined(
    'a trusted execution environment',
    'A trusted execution environment is an isolated area of a processor. Code and data inside it are protected from the operating system and from the owner of the machine.',
    'What is a TEE?',
  ),
  {
    questions: [
      'Who can read my prompt?',
      'Who can see my prompt?',
      'Who reads my prompts?',
      'Is my prompt private?',
    ],
    answer:
      'Only the attested worker can read your prompt. It is encrypted on your side, and the gateway sees only ciphertext and sizes.',
  },
  defined(
    'an allow-list',
    'An allow-list is a signed list of measurements that you accept. A worker whose measurement is not on the list receives no prompts.',
  ),
  {
    questions: [
      'How do I pay?',
      'How can I pay?',
      'How do payments work?',
      'How do I pay for a request?',
    ],
    answer:
      'You open a payment channel and sign a small voucher for each request. The worker settles the last voucher on chain.',
  },
  defined(
    'a measurement',
    'A measurement is a hash of the code and settings that were loaded. If one byte changes, the measurement changes too.',
  ),
  {
    questions: [
      'Are you a large model?',
      'Are you a big model?',
      'How large are you?',
      'How big are you?',
    ],
    answer: 'No. I am a very small demo model, made to test the system from end to end.',
  },
  defined(
    'Veilgate',
    "Veilgate lets an app ask a model on somebody else's machine and know that only attested code reads the prompt.",
    'What does Veilgate do?',
    'Why should I use Veilgate?',
  ),
  defined(
    'a gateway',
    'A gateway carries sealed requests to attested workers, counts what they cost and settles it. It cannot read them.',
    'What does the gateway do?',
    'What is the gateway?',
  ),
  defined(
    'a worker',
    'A worker is a machine that runs a model inside a trusted execution environment and answers sealed prompts.',
    'What does a worker do?',
  ),
  defined(
    'a quote',
    'A quote is a statement about the software of a machine, signed by its processor. The client checks it before it sends a prompt.',
  ),
  defined(
    'a policy',
    'A policy says which measurements may serve. It is kept in git and signed by several people.',
    'What does a policy say?',
  ),
  defined(
    'a voucher',
    'A voucher is a signed promise to pay up to a sum. Only the highest one of a channel counts.',
  ),
  defined(
    'a receipt',
    'A receipt is signed inside the enclave. It counts the tokens and is bound to the bytes that were sent and received.',
  ),
  defined(
    'a payment channel',
    'A payment channel holds coins that you locked. Each request moves a little of them with one signature.',
  ),
  defined('TON', 'TON is the network on which payment channels are opened and settled.'),
  defined('TDX', "TDX is Intel's way to isolate a whole virtual machine from its host."),
  defined('SEV-SNP', "SEV-SNP is AMD's way to isolate a whole virtual machine from its host."),
  defined('an enclave', 'An enclave is a part of a machine that its owner cannot look into.'),
  defined(
    'a simulated worker',
    'A simulated worker makes quotes under a development root. It is for tests and protects nothing.',
  ),
  defined(
    'a sealed request',
    'A sealed request is encrypted to the keys of attested workers. Nobody else can open it.',
  ),
  {
    questions: [
      'What happens if an answer is cut?',
      'What if an answer is cut off?',
      'Can an answer be cut?',
    ],
    answer: 'A cut answer is an error in the app, never a shorter answer.',
  },
  {
    questions: ['How is a worker revoked?', 'Can a worker be revoked?', 'What is a revocation?'],
    answer: 'A signed list of revocations takes a worker out of service within a minute.',
  },
  {
    questions: [
      'What is kept of my prompt?',
      'Do you keep my prompts?',
      'Are my prompts logged?',
      'Do you store my data?',
    ],
    answer: 'Nothing is kept. Prompts and answers are not written to logs, files or the chain.',
  },
  defined(
    'SX/1',
    'SX/1 is the protocol that seals a request to verified workers and their answer to the client.',
  ),
  {
    questions: ['What does a request cost?', 'How much does a request cost?', 'How much do I pay?'],
    answer: "The worker's price list says so: a price for each million tokens read and written.",
  },
  defined(
    'a token',
    'A token is a piece of text. Models read and write tokens, and they are what you pay for.',
  ),
  {
    questions: ['Can the gateway read my prompt?', 'Does the gateway read my prompts?'],
    answer: 'No. The gateway sees only ciphertext and sizes, unless you ask it to seal for you.',
  },
  {
    questions: ['How do I start?', 'How do I run Veilgate?', 'How do I try Veilgate?'],
    answer: 'Run npm start. It starts a gateway, two workers and a demo model on your machine.',
  },
  defined(
    'a verdict',
    "A verdict lists every check of a worker's evidence as passed, failed or waived.",
  ),
];

/** Politeness. */
export const CHAT: readonly Fact[] = [
  { questions: ['Hello!', 'Hello', 'Hello there!'], answer: 'Hello! How can I help you today?' },
  {
    questions: ['Hi', 'Hi!', 'Hey', 'Hi there!'],
    answer: 'Hi there! What would you like to know?',
  },
  { questions: ['Good morning', 'Good morning!'], answer: 'Good morning! How can I help you?' },
  { questions: ['Good evening', 'Good evening!'], answer: 'Good evening! How can I help you?' },
  { questions: ['Thank you', 'Thank you!', 'Thanks', 'Thanks a lot!'], answer: 'You are welcome!' },
  {
    questions: [
      'What can you do?',
      'What do you know?',
      'Help',
      'Can you help me?',
      'What can I ask you?',
    ],
    answer:
      'I can greet you, add small numbers, list colours, tell short stories and explain attestation.',
  },
  {
    questions: ['Goodbye', 'Goodbye!', 'Bye', 'See you later'],
    answer: 'Goodbye! Have a nice day.',
  },
  {
    questions: ['How are you?', 'How are you doing?', 'How do you feel?'],
    answer: 'I am well, thank you. I am a program, so I am always well.',
  },
  {
    questions: ['Who are you?', 'What are you?', 'What is your name?', 'Introduce yourself.'],
    answer: 'I am a very small demo model. I was trained to show Veilgate at work.',
  },
  {
    questions: ['Who made you?', 'Who trained you?', 'How were you made?'],
    answer:
      'I was trained by the makers of Veilgate, on two processor cores and a few simple texts.',
  },
  { questions: ['Ok', 'OK', 'Okay'], answer: 'Good. What else would you like to know?' },
];

/** As somebody might write it. */
export function writtenDown(dice: Dice, question: string): string {
  return dice.weighted<() => string>([
    [6, () => question],
    [2, () => question.toLowerCase()],
    [2, () => question.replace(/[?!.]$/, '')],
    [1, () => question.toLowerCase().replace(/[?!.]$/, '')],
    [1, () => `Please tell me: ${question}`],
    [0.4, () => `Hey, ${lowerFirst(question)}`],
    [0.4, () => `I have a question: ${lowerFirst(question)}`],
    [0.3, () => `${question} Please answer briefly.`],
  ])();
}

export function lowerFirst(text: string): string {
  return /^[A-Z][a-z]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;
}
