/**
 * Stands in the browser module for everything under `client/node/`: whoever gives a path there is told what to give.
 * @module
 */

import { clientError } from '../errors.ts';

throw clientError(
  'client.option',
  'a path needs a file system: here give the text, the bytes, or the parts',
);
