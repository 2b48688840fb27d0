/**
 * What a command says to a person. Colours only where a person looks; everything else is plain text.
 * @module
 */

export type Colour = 'red' | 'green' | 'yellow' | 'blue' | 'dim' | 'bold';

const SGR: Readonly<Record<Colour, readonly [number, number]>> = {
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  dim: [2, 22],
  bold: [1, 22],
};

/** A line on standard output: the result of a command. */
export function outputLine(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** For `outputLine`: JSON in ASCII, so that no text in it, wherever it came from, reaches a terminal as a command. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** In text that others had a hand in, nothing may move a cursor, start a line, or turn the reading direction. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ');
}

/** A line on standard error: progress, warnings. What is not ours in it goes through `printable`. */
export function errorLine(text: string): void {
  process.stderr.write(`${text}\n`);
}

let hasProgress = false;

/** How far a long command is: over the text before it, and only where a person looks. Empty text takes it away. */
export function progress(text: string): void {
  if (!process.stderr.isTTY || (text === '' && !hasProgress)) return;
  hasProgress = text !== '';
  process.stderr.write(`\r\u001B[K${text}`);
}

/** Of a program that a closed pipe ended: 128 and the number of SIGPIPE, which Node.js does not deliver. */
const CLOSED_PIPE_STATUS = 141;

/** Whoever reads has seen enough (`| head`): the program ends without a word. Called once, by the command. */
export function endWhenPipeCloses(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(CLOSED_PIPE_STATUS);
  });
}

const COLUMNS_MIN = 60;
const COLUMNS_MAX = 120;
/** In pipes and files. */
const COLUMNS_DEFAULT = 100;

/** How wide text for people may be: long lines are hard to read on any screen. */
export function terminalColumns(): number {
  if (!isTerminal()) return COLUMNS_DEFAULT;
  return Math.min(COLUMNS_MAX, Math.max(COLUMNS_MIN, process.stdout.columns));
}

export function isTerminal(): boolean {
  return process.stdout.isTTY;
}

/** Paints `text` when standard output is a terminal, and leaves it alone in pipes and files. */
export function paint(colour: Colour, text: string): string {
  if (!isTerminal()) return text;
  const [on, off] = SGR[colour];
  return `\u001B[${on}m${text}\u001B[${off}m`;
}
