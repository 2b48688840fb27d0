/**
 * Questions about everything else, in many forms, all with one honest answer. Words that nobody uses are among them, so that what
 * was never seen is declined too; and so are questions that look like those of facts.ts and exercises.ts and are not. @module
 */

import type { Dice } from './dice.ts';
import type { Turn } from './dialogue.ts';
import { COUNT_MAX, SUMMAND_MAX } from './exercises.ts';
import { writtenDown } from './facts.ts';
import { inventedWord, keysPressed } from './invented.ts';
import {
  ANIMALS,
  CODE_LANGUAGES,
  COLOURS,
  DEEDS,
  EVERYDAY,
  KINDS,
  LANGUAGES,
  NAMES,
  NUMBERS,
  PEOPLE,
  PLACES,
  QUALITIES,
  THINGS,
} from './words.ts';

export const DECLINE = 'I do not know that: I am a tiny demonstration model.';

export function declineTurn(dice: Dice): Turn {
  const question = dice.weighted<() => string>([
    [12, () => writtenDown(dice, filled(dice, dice.pick(FORMS)))],
    [2, () => writtenDown(dice, otherSum(dice))],
    [1, () => nonsense(dice)],
    [1, () => `${filled(dice, dice.pick(FORMS))} ${filled(dice, dice.pick(FORMS))}`],
    [1, () => filled(dice, dice.pick(FOREIGN))],
    [0.5, () => keysPressed(dice)],
  ])();
  return { question, answer: DECLINE };
}

type Slot = (dice: Dice) => string;

const INVENTED_PART = 0.25;

function of(list: readonly string[]): Slot {
  return (dice) => dice.pick(list);
}

/** Now and then with a word that no list has. */
function ofOrInvented(list: readonly string[], before = ''): Slot {
  return (dice) =>
    dice.happens(INVENTED_PART) ? `${before}${inventedWord(dice)}` : dice.pick(list);
}

const ANIMALS_WITH_ARTICLE = ANIMALS.map(
  (animal) => `${/^[aeiou]/.test(animal) ? 'an' : 'a'} ${animal}`,
);
const DAYS = 'Monday Tuesday Wednesday Thursday Friday Saturday Sunday today tomorrow'.split(' ');

const SLOTS: Readonly<Record<string, Slot>> = {
  thing: (dice) =>
    dice.weighted<Slot>([
      [6, of(THINGS)],
      [2, (inner) => `${inner.pick(['a ', 'a ', 'the ', ''])}${inventedWord(inner)}`],
      [1, of(ANIMALS_WITH_ARTICLE)],
      [2, (inner) => `a ${inner.pick(EVERYDAY)}`],
      [1, (inner) => `${inner.pick(EVERYDAY)} ${inner.pick(EVERYDAY)}`],
    ])(dice),
  place: ofOrInvented(PLACES),
  person: ofOrInvented(PEOPLE),
  deed: ofOrInvented(DEEDS, 'make a '),
  language: ofOrInvented(LANGUAGES),
  code: of(CODE_LANGUAGES),
  quality: ofOrInvented(QUALITIES),
  kind: ofOrInvented(KINDS),
  word: ofOrInvented(EVERYDAY),
  name: of(NAMES),
  colour: of(COLOURS),
  animal: of(ANIMALS),
  day: of(DAYS),
  year: (dice) => String(dice.between(1000, 2100)),
  number: (dice) => String(dice.between(2, 5000)),
  few: (dice) => NUMBERS[dice.between(2, 10)] ?? '',
  many: (dice) => String(dice.between(COUNT_MAX + 1, 2000)),
};

function filled(dice: Dice, form: string): string {
  return form.replace(/\{(\w+)\}/g, (_, slot: string) => SLOTS[slot]?.(dice) ?? slot);
}

const FORMS: readonly string[] = [
  'What is {thing}?',
  'What is {thing}?',
  "What's {thing}?",
  'What is the {word} of {thing}?',
  'What is the capital of {place}?',
  'What is the population of {place}?',
  'What is the best {word} in {place}?',
  'What is the meaning of {thing}?',
  'What is the weather like in {place}?',
  'What is the difference between {thing} and {thing}?',
  'What is the square root of {number}?',
  'What is the name of {person}?',
  'What is your favourite {word}?',
  'What does {thing} do?',
  'What does {thing} cost?',
  'What does {word} mean?',
  'What happens if {thing} is {quality}?',
  'What happened in {year}?',
  'What colour is {thing}?',
  'What should I eat {day}?',
  'What time is it in {place}?',
  'What day is it?',
  'What do you think about {thing}?',
  'What do {kind} eat?',
  'Which {word} is the most {quality}?',
  'Which country has the most {kind}?',
  'Which is better, {thing} or {thing}?',
  'Who is {person}?',
  'Who was {person}?',
  'Who invented {thing}?',
  'Who wrote about {thing}?',
  'Who won the {word} in {year}?',
  'Who is the {word} of {place}?',
  'Who can see {thing}?',
  'Who can {deed}?',
  'Where is {place}?',
  'Where can I find {thing}?',
  'Where can I buy {thing} in {place}?',
  'Where does {thing} come from?',
  'Where was {person} born?',
  'When was {thing} invented?',
  'When was {person} born?',
  'When did {person} die?',
  'When does the {word} open on {day}?',
  'When should I {deed}?',
  'Why is {thing} {quality}?',
  'Why do {kind} {word}?',
  'Why did {person} go to {place}?',
  'Why is the sky {colour}?',
  'How do I {deed}?',
  'How do I {deed} in {place}?',
  'How can I {deed}?',
  'How does {thing} work?',
  'How old is {person}?',
  'How far is it from {place} to {place}?',
  'How many {kind} are there in {place}?',
  'How many {kind} are there?',
  'How much does {thing} weigh?',
  'How much is {thing} in {place}?',
  'How long does it take to {deed}?',
  'How {quality} is {thing}?',
  'How do you say {word} in {language}?',
  'Is {thing} {quality}?',
  'Is it {quality} in {place} in {year}?',
  'Is {person} still alive?',
  'Are {kind} {quality}?',
  'Are you a {word}?',
  'Are you {quality}?',
  'Do you like {thing}?',
  'Do you know {person}?',
  'Do you know what {thing} is?',
  'Do you speak {language}?',
  'Does {thing} have a {word}?',
  'Did {person} like {thing}?',
  'Can {kind} {word}?',
  'Can you {deed}?',
  'Can you explain {thing}?',
  'Can you write a program in {code}?',
  'Could you recommend {thing}?',
  'Should I {deed}?',
  'Will it rain in {place} on {day}?',
  'Would you {deed} with me?',
  'Explain {thing}.',
  'Explain {thing} to a child.',
  'Explain how to {deed}.',
  'Define {word}.',
  'Define {thing}.',
  'Describe {place}.',
  'Describe {person} in one sentence.',
  'Tell me about {thing}.',
  'Tell me about {person}.',
  'Tell me about {place}.',
  'Tell me how to {deed}.',
  'Tell me a joke.',
  'Tell me a joke about {thing}.',
  'Tell me the {word} of {place}.',
  'Tell me what {thing} is.',
  'Give me a recipe for {thing}.',
  'Give me {few} reasons to {deed}.',
  'Give me advice about {thing}.',
  'Give me a {word}.',
  'Write a poem about {thing}.',
  'Write an essay about {thing} and {thing}.',
  'Write a letter to {person}.',
  'Write a function in {code} to {deed}.',
  'Write {code} code to {deed}.',
  'Translate {word} into {language}.',
  'Translate "{word} {word} {word}" to {language}.',
  'Summarise the history of {place}.',
  'Compare {thing} with {thing}.',
  'List {few} {kind}.',
  'List {few} {kind} of {place}.',
  'Name {few} {kind}.',
  'Count to {many}.',
  'Count the {kind} in {place}.',
  'Convert {number} miles to metres.',
  'Draw {thing}.',
  'Sing a song about {thing}.',
  'Play {thing}.',
  'Recommend a book about {thing}.',
  'Plan a trip to {place}.',
  'Solve {number} x = {number}.',
  'Spell {word}.',
  'Find the {word}.',
  'Show me {thing}.',
  'Remind me to {deed} on {day}.',
  'Call {person}.',
  'Buy {thing} for {name}.',
  'I want to {deed}.',
  'I need help with {thing}.',
  'I feel {quality} today.',
  'I am looking for {thing} in {place}.',
  'I think {thing} is {quality}.',
  'I live in {place}.',
  'My name is {name} and I like {thing}.',
  'My {word} is broken. What should I do?',
  '{person} was born in {year}, right?',
  '{thing}',
  '{word}',
  '{word} {word}',
  '{place}?',
  '{person}',
  'The {animal} is {quality}.',
  'There is {thing} in my {word}.',
  'Let us talk about {thing}.',
  'Help me {deed}.',
  'Please help me with {thing}.',
  'In {place}, what is the most {quality} {word}?',
  'If I have {number} {kind} and give away {number}, how many are left?',
  'Complete the sentence: the {word} is',
  'True or false: {thing} is {quality}.',
];

/** A few forms of other languages; the answer stays in English. */
const FOREIGN: readonly string[] = [
  'Was ist {word}?',
  'Wie geht es dir?',
  'Wo ist {place}?',
  'Wie alt ist {person}?',
  'Erkläre mir {word}.',
  'Qui est {person} ?',
  'Où est {place} ?',
  'Comment faire {word} ?',
  'Quelle heure est-il ?',
  '¿Qué es {word}?',
  '¿Dónde está {place}?',
  'Chi è {person}?',
  'Che cosa è {word}?',
  'Что такое {word}?',
  'Где {place}?',
  '{word} とは何ですか',
  '{word} 是什么',
];

/** Sums that are too large, and everything else that numbers are made to do. */
function otherSum(dice: Dice): string {
  const large = dice.between(SUMMAND_MAX + 1, dice.happens(0.5) ? 99 : 99_999);
  const other = dice.between(0, dice.happens(0.5) ? SUMMAND_MAX : 9999);
  const [a, b] = dice.happens(0.5) ? [large, other] : [other, large];
  const small = [dice.between(0, 30), dice.between(0, 30)];
  const operator = dice.pick(['-', '*', '/', 'x', '^', '%', 'minus', 'times', 'divided by']);
  return dice.weighted([
    [2, `What is ${a} + ${b}?`],
    [1, `Add ${a} and ${b}.`],
    [1, `${a} + ${b}`],
    [3, `What is ${small.join(` ${operator} `)}?`],
    [1, small.join(` ${operator} `)],
    [1, `What is ${small.join(' + ')} + ${other}?`],
  ]);
}

function nonsense(dice: Dice): string {
  const count = dice.between(1, 7);
  return Array.from({ length: count }, () =>
    dice.happens(0.5) ? dice.pick(EVERYDAY) : inventedWord(dice),
  ).join(' ');
}
