/** Stories of six sentences, and of nobody else: put together from lists. @module */

import type { Dice } from './dice.ts';
import type { Turn } from './dialogue.ts';
import { inventedWord } from './invented.ts';
import { ANIMALS, NAMES, STORY_MOODS, STORY_PLACES, STORY_THINGS, STORY_WEATHER } from './words.ts';

export function storyTurn(dice: Dice): Turn {
  const animal = dice.happens(0.08) ? inventedWord(dice).toLowerCase() : dice.pick(ANIMALS);
  const name = dice.pick(NAMES);
  const article = /^[aeiou]/.test(animal) ? 'an' : 'a';
  const question = dice.weighted([
    [4, `Tell me a story about ${article} ${animal}.`],
    [2, `Write a short story about ${name} the ${animal}.`],
    [2, 'Tell me a story.'],
    [1, `Tell me a short story about ${article} ${animal}.`],
  ]);
  return { question, answer: story(dice, animal, name) };
}

function story(dice: Dice, animal: string, name: string): string {
  const place = dice.pick(STORY_PLACES);
  const thing = dice.pick(STORY_THINGS);
  const theThing = thing.replace(/^an? /, 'the ');
  const friend = dice.pick(ANIMALS.filter((other) => other !== animal));
  const friendName = dice.pick(NAMES.filter((other) => other !== name));
  return [
    `Once there was a ${dice.pick(STORY_MOODS)} ${animal} named ${name}.`,
    dice.pick(STORY_WEATHER),
    `${name} walked to the ${place} and found ${thing}.`,
    dice.pick([
      `${capital(withArticle(friend))} named ${friendName} came by and asked for help.`,
      `Then ${name} met ${withArticle(friend)} named ${friendName}.`,
    ]),
    dice.pick([
      `They looked for the owner of ${theThing} together.`,
      `"Is this yours?" asked ${name}. "Yes, thank you!" said ${friendName}.`,
      `${name} gave ${theThing} to ${friendName}, and ${friendName} smiled.`,
    ]),
    dice.pick([
      'In the end they became good friends.',
      'They went home together and were happy.',
      `From that day on, they met at the ${place} every morning.`,
    ]),
  ].join(' ');
}

function withArticle(noun: string): string {
  return `${/^[aeiou]/.test(noun) ? 'an' : 'a'} ${noun}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
