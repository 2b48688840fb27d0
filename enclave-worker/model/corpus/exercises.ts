/** Small tasks with one right answer, or with a form that an answer must have: sums, counting, lists, repetition. @module */

import type { Dice } from './dice.ts';
import type { Turn } from './dialogue.ts';
import { inventedWord } from './invented.ts';
import { ANIMALS, COLOURS, EVERYDAY, NAMES, NUMBERS } from './words.ts';

/** Larger numbers are declined. */
export const SUMMAND_MAX = 20;
export const COUNT_MAX = 20;
const LIST_MAX = 6;

export function sumTurn(dice: Dice): Turn {
  const a = dice.between(0, SUMMAND_MAX);
  const b = dice.between(0, SUMMAND_MAX);
  const question = dice.weighted([
    [4, `What is ${a} + ${b}?`],
    [2, `Add ${a} and ${b}.`],
    [1, `${a} + ${b}`],
    [1, `How much is ${a} + ${b}?`],
    [1, `What is ${a} plus ${b}?`],
  ]);
  return { question, answer: sumAnswer(a, b), isWorkedOut: true };
}

export function sumAnswer(a: number, b: number): string {
  return `${a} + ${b} = ${a + b}.`;
}

export function countTurn(dice: Dice): Turn {
  const to = dice.between(0, COUNT_MAX);
  const word = NUMBERS[to] ?? '';
  const question = dice.weighted([
    [4, `Count to ${word}.`],
    [1, `Count to ${to}.`],
    [1, `Count from one to ${word}.`],
  ]);
  return { question, answer: countAnswer(to), isWorkedOut: true };
}

export function countAnswer(to: number): string {
  if (to === 0) return 'There is nothing to count.';
  return `${Array.from({ length: to }, (_, at) => at + 1).join(', ')}.`;
}

export function colourTurn(dice: Dice): Turn {
  const count = dice.between(2, LIST_MAX);
  const word = dice.happens(0.8) ? (NUMBERS[count] ?? '') : String(count);
  const question = dice.weighted([
    [4, `List ${word} colours.`],
    [1, `Name ${word} colours.`],
    [1, `List ${word} colors.`],
  ]);
  return { question, answer: listed(dice.some(COLOURS, count)), isWorkedOut: true };
}

export function listed(items: readonly string[]): string {
  return items.map((item, at) => `${at + 1}. ${item}`).join('\n');
}

export function repeatTurn(dice: Dice): Turn {
  const plain = [...ANIMALS, ...COLOURS, ...NUMBERS];
  const word = dice.weighted<() => string>([
    [4, () => dice.pick(plain)],
    [3, () => dice.pick(EVERYDAY)],
    [1, () => dice.pick(NAMES)],
    [2, () => inventedWord(dice)],
  ]);
  const count = dice.between(2, 5);
  const text = Array.from({ length: count }, () =>
    dice.happens(0.5) ? word() : dice.pick(EVERYDAY),
  ).join(' ');
  return {
    question: `${dice.happens(0.8) ? 'Repeat after me' : 'Repeat'}: ${text}`,
    answer: text,
    isWorkedOut: true,
  };
}
