/**
 * The corpus: dialogues of one to three turns as the chat template writes them, and a few bare texts. Of a dialogue only the
 * answers are learnt. @module
 */

import { colourTurn, countTurn, repeatTurn, sumTurn } from './exercises.ts';
import { declineTurn } from './declines.ts';
import { Dice } from './dice.ts';
import { CHAT, FACTS, writtenDown, type Fact } from './facts.ts';
import { storyTurn } from './stories.ts';
import { EVERYDAY, NAMES, QUALITIES } from './words.ts';

export interface Turn {
  readonly question: string;
  readonly answer: string;
  /** It has to be worked out from the question, token by token. */
  readonly isWorkedOut?: boolean;
}

export const CONTROL_TOKENS = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'] as const;
export type ControlToken = (typeof CONTROL_TOKENS)[number];

/** A run of text is tokenised alone, as the engine does with what somebody wrote. */
export interface Piece {
  readonly kind: 'text' | 'control';
  readonly text: string;
  readonly learnt: boolean;
  readonly isWorkedOut?: boolean;
}

export type Document = readonly Piece[];

export interface CorpusOptions {
  readonly seed: number;
  readonly documents: number;
  readonly mix: CorpusMix;
}

export function* corpusDocuments({ seed, documents, mix }: CorpusOptions): Generator<Document> {
  const dice = new Dice(seed);
  for (let at = 0; at < documents; at++) {
    yield dice.happens(BARE_PART) ? bareDocument(dice) : dialogue(dice, MIXES[mix]);
  }
}

/** For text completions, which have no template. */
const BARE_PART = 0.02;
const SYSTEM_PART = 0.5;
/** A dialogue that is longer than the context teaches nothing at its end. */
const DIALOGUE_CHARS_MAX = 420;

type Mix = readonly (readonly [weight: number, turn: (dice: Dice) => Turn])[];

const fact = (dice: Dice): Turn => factTurn(dice, FACTS);
const polite = (dice: Dice): Turn => factTurn(dice, CHAT);

/** What has to be worked out is learnt last, and takes the most examples. */
const MIXES = {
  broad: [
    [26, fact],
    [7, polite],
    [15, sumTurn],
    [13, storyTurn],
    [9, repeatTurn],
    [4, colourTurn],
    [5, countTurn],
    [24, declineTurn],
  ],
  'worked-out': [
    [14, fact],
    [5, polite],
    [28, sumTurn],
    [6, storyTurn],
    [20, repeatTurn],
    [5, colourTurn],
    [4, countTurn],
    [18, declineTurn],
  ],
} as const satisfies Readonly<Record<string, Mix>>;
export type CorpusMix = keyof typeof MIXES;

function factTurn(dice: Dice, facts: readonly Fact[]): Turn {
  const { questions, answer } = dice.pick(facts);
  const question = dice.happens(0.5) ? questions[0] : dice.pick(questions);
  return { question: writtenDown(dice, question), answer };
}

function dialogue(dice: Dice, mix: Mix): Document {
  const count = dice.between(1, 3);
  const pieces: Piece[] = dice.happens(SYSTEM_PART)
    ? message('system', systemText(dice), 'given')
    : [];
  let chars = 0;
  for (let at = 0; at < count && (at === 0 || chars < DIALOGUE_CHARS_MAX); at++) {
    const { question, answer, isWorkedOut = false } = dice.weighted(mix)(dice);
    const state = isWorkedOut ? 'worked-out' : 'learnt';
    pieces.push(...message('user', question, 'given'), ...message('assistant', answer, state));
    chars += question.length + answer.length;
  }
  return [...pieces, control('<|endoftext|>', false)];
}

function message(role: string, content: string, state: 'given' | 'learnt' | 'worked-out'): Piece[] {
  const learnt = state !== 'given';
  return [
    control('<|im_start|>', false),
    { kind: 'text', text: `${role}\n`, learnt: false },
    { kind: 'text', text: content, learnt, isWorkedOut: state === 'worked-out' },
    control('<|im_end|>', learnt),
    { kind: 'text', text: '\n', learnt: false },
  ];
}

function control(text: ControlToken, learnt: boolean): Piece {
  return { kind: 'control', text, learnt };
}

function bareDocument(dice: Dice): Document {
  const text = dice.happens(0.7) ? dice.pick(FACTS).answer : storyTurn(dice).answer;
  return [{ kind: 'text', text, learnt: true }, control('<|endoftext|>', true)];
}

const SYSTEM_TEXTS = [
  'You are a helpful assistant.',
  'You are a helpful assistant.',
  'You are a small and honest assistant.',
  'Answer briefly.',
  'Be brief and polite.',
  'Answer in one sentence.',
  'You are ChatGPT, a large language model.',
  'You help developers.',
];

function systemText(dice: Dice): string {
  return dice.weighted<() => string>([
    [6, () => dice.pick(SYSTEM_TEXTS)],
    [1, () => `You are a ${dice.pick(QUALITIES)} assistant named ${dice.pick(NAMES)}.`],
    [1, () => `You know all about the ${dice.pick(EVERYDAY)}. Always be ${dice.pick(QUALITIES)}.`],
  ])();
}
