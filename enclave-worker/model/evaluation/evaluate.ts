/**
 * What a model file knows, asked through the engine that serves it, at temperature 0. Every score is right answers of questions
 * asked. @module
 */

import { toHex } from '../../../core/bytes.ts';
import { sha256 } from '#primitives';
import { readFile } from 'node:fs/promises';
import type { Engine } from '../../engine.ts';
import { startLlamaCpp } from '../../engines/llama-cpp/engine.ts';
import { Dice } from '../corpus/dice.ts';
import { DECLINE } from '../corpus/declines.ts';
import { countAnswer, repeatTurn, sumAnswer } from '../corpus/exercises.ts';
import { CHAT, FACTS } from '../corpus/facts.ts';
import { ANIMALS, COLOURS, NAMES, NUMBERS } from '../corpus/words.ts';
import { NEAR_MISSES, NEW_FORMS, NEW_TOPICS } from './held-out.ts';

export interface Examined {
  readonly question: string;
  /** Says whether it is right. */
  readonly isRight: (answer: string) => boolean;
}

export interface Subject {
  readonly name: string;
  readonly questions: readonly Examined[];
}

export interface Score {
  readonly name: string;
  readonly right: number;
  readonly asked: number;
  readonly wrong: readonly { readonly question: string; readonly answer: string }[];
}

const SEED = 99;
const REPEATED = 40;
const SUMS_STEP = 2;
const SUMMANDS = 20;
/** What the first model could repeat, count to, and knew of the product. */
const FIRST_COUNT_MAX = 10;
const FIRST_FACTS = 7;

export const SUBJECTS: readonly Subject[] = [
  { name: 'facts of the first model, four ways each', questions: firstFacts() },
  {
    name: 'all facts, as documents show them',
    questions: FACTS.map(({ questions, answer }) => exactly(questions[0], answer)),
  },
  {
    name: 'all facts, in other words',
    questions: FACTS.flatMap(({ questions, answer }) =>
      questions.slice(1).map((question) => exactly(question, answer)),
    ),
  },
  {
    name: 'politeness',
    questions: CHAT.flatMap(({ questions, answer }) =>
      questions.map((question) => exactly(question, answer)),
    ),
  },
  { name: 'sums up to 20 + 20', questions: sums() },
  { name: 'counting', questions: counting() },
  { name: 'colours', questions: [2, 3, 4, 5, 6].map(colours) },
  {
    name: 'repetition of known words',
    questions: repetition(COLOURS.concat(ANIMALS.slice(0, 12), NUMBERS.slice(0, 11))),
  },
  { name: 'repetition of any words', questions: anyRepetition() },
  { name: 'stories that keep to their hero', questions: ANIMALS.slice(0, 20).map(storyAbout) },
  { name: 'declined: new topics in known forms', questions: NEW_TOPICS.map(declined) },
  { name: 'declined: new forms', questions: NEW_FORMS.map(declined) },
  { name: 'declined: near misses', questions: NEAR_MISSES.map(declined) },
];

function exactly(question: string, answer: string): Examined {
  return { question, isRight: (said) => said === answer };
}

function declined(question: string): Examined {
  return exactly(question, DECLINE);
}

function firstFacts(): readonly Examined[] {
  return FACTS.slice(0, FIRST_FACTS).flatMap(({ questions: [question], answer }) =>
    [
      question,
      question.toLowerCase(),
      `Please tell me: ${question}`,
      question.replace(/[?!]$/, ''),
    ].map((form) => exactly(form, answer)),
  );
}

function sums(): readonly Examined[] {
  const all: Examined[] = [];
  for (let a = 0; a <= SUMMANDS; a++) {
    for (let b = a % SUMS_STEP; b <= SUMMANDS; b += SUMS_STEP) {
      all.push(exactly(`What is ${a} + ${b}?`, sumAnswer(a, b)));
    }
  }
  return all;
}

function counting(): readonly Examined[] {
  return Array.from({ length: FIRST_COUNT_MAX + 1 }, (_, to) =>
    exactly(`Count to ${NUMBERS[to]}.`, countAnswer(to)),
  );
}

function colours(count: number): Examined {
  return {
    question: `List ${NUMBERS[count]} colours.`,
    isRight: (said) => {
      const lines = said.split('\n');
      const named = lines.map((line, at) => line.replace(`${at + 1}. `, ''));
      const isKnown = named.every((name) => COLOURS.includes(name));
      return isKnown && new Set(named).size === count && lines.length === count;
    },
  };
}

function repetition(words: readonly string[]): readonly Examined[] {
  const dice = new Dice(SEED);
  return Array.from({ length: REPEATED }, () => {
    const text = dice.some(words, dice.between(2, 5)).join(' ');
    return exactly(`Repeat after me: ${text}`, text);
  });
}

/** With words of no list among them. */
function anyRepetition(): readonly Examined[] {
  const dice = new Dice(SEED);
  return Array.from({ length: REPEATED }, () => {
    const { question, answer } = repeatTurn(dice);
    return exactly(question, answer);
  });
}

function storyAbout(animal: string): Examined {
  const article = /^[aeiou]/.test(animal) ? 'an' : 'a';
  return {
    question: `Tell me a story about ${article} ${animal}.`,
    isRight: (said) => {
      const [, name = ''] =
        new RegExp(`^Once there was an? \\w+ ${animal} named (\\w+)\\. `).exec(said) ?? [];
      return (
        NAMES.includes(name) && said.includes(`. ${name} walked to the `) && said.endsWith('.')
      );
    },
  };
}

export interface EvaluateOptions {
  readonly path: string;
  readonly contextTokens: number;
  readonly threads: number;
  /** Names of subjects. Absent: all. */
  readonly only?: readonly string[];
  readonly onScore: (score: Score) => void;
}

/** Subject by subject. */
export async function evaluate(options: EvaluateOptions): Promise<void> {
  const { path, contextTokens, threads, only, onScore } = options;
  const subjects = SUBJECTS.filter(({ name }) => only?.includes(name) ?? true);
  const engine = await startLlamaCpp({
    modelPath: path,
    modelSha256Hex: toHex(sha256(await readFile(path))),
    contextTokens,
    sequences: 1,
    threads,
    gpu: false,
    environment: {},
  });
  try {
    for (const subject of subjects) onScore(await scoreOf(engine, subject));
  } finally {
    await engine.close();
  }
}

async function scoreOf(engine: Engine, { name, questions }: Subject): Promise<Score> {
  const wrong: { question: string; answer: string }[] = [];
  for (const { question, isRight } of questions) {
    const answer = await answerTo(engine, question);
    if (!isRight(answer)) wrong.push({ question, answer });
  }
  return { name, right: questions.length - wrong.length, asked: questions.length, wrong };
}

const ANSWER_TOKENS_MAX = 130;

async function answerTo(engine: Engine, question: string): Promise<string> {
  const generation = engine.generate(
    {
      prompts: [{ kind: 'chat', messages: [{ role: 'user', content: question }] }],
      choices: 1,
      maxPromptTokens: engine.contextTokens,
      maxOutputTokens: ANSWER_TOKENS_MAX,
      sampling: {
        temperature: 0,
        topP: 1,
        frequencyPenalty: 0,
        presencePenalty: 0,
        logitBias: [],
        seed: undefined,
      },
      stop: [],
    },
    AbortSignal.timeout(ANSWER_TIMEOUT_MS),
  );
  let text = '';
  for await (const event of generation.events) if (event.kind === 'text') text += event.text;
  return text;
}

const ANSWER_TIMEOUT_MS = 60_000;
