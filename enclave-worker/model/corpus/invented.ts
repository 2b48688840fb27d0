/** Words that nobody uses, and lines that mean nothing: what the model has never seen looks like them. @module */

import type { Dice } from './dice.ts';

const BEGINNINGS =
  'b bl br c ch cl cr d dr f fl fr g gl gr h j k kl kr l m n p pl pr qu r s sc sh sk sl sm sn sp st str sw t th tr v w wh x y z';
const VOWELS = 'a e i o u ai au ea ee ia ie io oa oo ou y';
const ENDS =
  '- b ck d f g k l ll lm ln m mp n nd ng nk nt p r rd rk rm rn rt s sh sk ss st t th x zz';
const KEYS = 'abcdefghijklmnopqrstuvwxyz0123456789.,;:!?-+*/()[]{}<>@#%&=_"\'';

const PARTS = [BEGINNINGS, VOWELS, ENDS].map((text) => text.split(' '));

export function inventedWord(dice: Dice): string {
  const syllables = dice.between(1, 3);
  let word = '';
  for (let at = 0; at < syllables; at++) {
    for (const parts of PARTS) word += dice.pick(parts).replace('-', '');
  }
  return dice.happens(0.15) ? word.charAt(0).toUpperCase() + word.slice(1) : word;
}

export function keysPressed(dice: Dice): string {
  const length = dice.between(1, 24);
  let text = '';
  for (let at = 0; at < length; at++) {
    text += dice.happens(0.12) ? ' ' : KEYS.charAt(dice.between(0, KEYS.length - 1));
  }
  return text.trim() === '' ? '?' : text.trim();
}
