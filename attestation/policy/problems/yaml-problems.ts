/**
 * What is wrong with YAML, in words, and on the line where somebody has to change something: the parser notices a missing
 * quote or colon only where it stops making sense, which can be far below. What follows the first such place is mostly its
 * consequence and is left out.
 * @module
 */

export interface TextProblem {
  /** From 1. */
  readonly line: number;
  readonly what: string;
}

/** As the parser has it. */
export interface YamlError {
  readonly code: string;
  readonly line: number;
}

const WORDS: Readonly<Record<string, string>> = {
  ALIAS_PROPS: 'aliases are not allowed',
  BAD_ALIAS: 'aliases are not allowed; a text that begins with * or & belongs in quotes',
  BAD_DIRECTIVE: 'directives are not allowed',
  BAD_DQ_ESCAPE: 'a backslash that means nothing in "…": use \'…\'',
  BAD_INDENT: 'the indentation fits no line above',
  BAD_SCALAR_START: 'a text that begins with this character belongs in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a second colon on the line: a text with ": " in it belongs in quotes',
  BLOCK_IN_FLOW: 'inside [ ] or { } a comma is missing',
  DUPLICATE_KEY: 'this member stands twice: only one of them can count',
  KEY_OVER_1024_CHARS: 'a name of over 1024 characters',
  MISSING_CHAR: 'a quote, bracket, comma, or the space after a colon is missing',
  MULTILINE_IMPLICIT_KEY: 'a colon is missing, or a quote or bracket is not closed',
  MULTIPLE_ANCHORS: 'anchors are not allowed',
  MULTIPLE_DOCS: 'a second document begins here: a policy is one',
  MULTIPLE_TAGS: 'tags are not allowed',
  NON_STRING_KEY: 'the name of a member is a text',
  RESOURCE_EXHAUSTION: 'nested too deeply',
  TAB_AS_INDENT: 'a tab: indent with spaces',
  TAG_RESOLVE_FAILED: 'tags are not allowed',
  UNEXPECTED_TOKEN: 'this cannot stand here',
};
const NO_WORDS = 'not YAML as policies are written';
/** These say nothing about the rest of the text. */
const INDEPENDENT: readonly string[] = ['DUPLICATE_KEY', 'BAD_ALIAS', 'ALIAS_PROPS'];

export function yamlProblems(text: string, errors: readonly YamlError[]): readonly TextProblem[] {
  const rows = text.split('\n');
  const byLine = [...errors].sort((a, b) => a.line - b.line);
  const first = byLine.find(({ code }) => !INDEPENDENT.includes(code));
  const kept = byLine.filter(
    (error) => error === first || (INDEPENDENT.includes(error.code) && isBefore(error, first)),
  );
  return kept.map((error) => (error === first ? caused(rows, error) : worded(error)));
}

function isBefore({ line }: YamlError, limit: YamlError | undefined): boolean {
  return limit === undefined || line < limit.line;
}

function worded({ code, line }: YamlError): TextProblem {
  return { line, what: WORDS[code] ?? NO_WORDS };
}

/** The line that has to change, by looking at the text around the place where the parser gave up. */
function caused(rows: readonly string[], error: YamlError): TextProblem {
  return (
    conflictIn(rows) ??
    invisibleIn(rows, error.line) ??
    (SURE.includes(error.code) ? undefined : unfinishedBefore(rows, error)) ??
    worded(error)
  );
}

const SURE: readonly string[] = [
  'TAB_AS_INDENT',
  'MULTIPLE_DOCS',
  'BAD_DIRECTIVE',
  'BAD_DQ_ESCAPE',
];

function conflictIn(rows: readonly string[]): TextProblem | undefined {
  const at = rows.findIndex((row) => /^(?:<{7}|={7}|>{7})(?: |$)/.test(row));
  return at < 0 ? undefined : { line: at + 1, what: 'a merge conflict was left here' };
}

/** Spaces that YAML takes for letters, mostly out of a web page. */
function invisibleIn(rows: readonly string[], line: number): TextProblem | undefined {
  const row = rows[line - 1] ?? '';
  const [character] = /[^\S\t\r ]|[\u200b-\u200f\u2060\ufeff]/u.exec(row) ?? [];
  if (character === undefined) return undefined;
  const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  return { line, what: `an invisible character (U+${code}): write a plain space` };
}

/** Nearest line above, this one included, that is not finished; or the line whose indentation fits nothing. */
function unfinishedBefore(
  rows: readonly string[],
  { code, line }: YamlError,
): TextProblem | undefined {
  const open = openQuote(rows, line);
  if (open !== undefined) return open;
  const content = contentLines(rows);
  const here = content.findIndex((at) => at >= line);
  const around = [content[here], content[here - 1], content[here - 2]].filter(
    (at) => at !== undefined,
  );
  for (const at of here < 0 ? content.slice(-2).reverse() : around) {
    const what = unfinished(rows[at - 1] ?? '');
    if (what !== undefined) return { line: at, what };
  }
  return code === 'BAD_INDENT' ? misplaced(rows, content, here) : undefined;
}

/** Numbers of the lines with something on them. */
function contentLines(rows: readonly string[]): readonly number[] {
  return rows.flatMap((row, index) => (/^\s*(?:#|$)/.test(row) ? [] : [index + 1]));
}

/** A quote that its own line does not close. Policies have no text of several lines. */
function openQuote(rows: readonly string[], last: number): TextProblem | undefined {
  for (const [index, row] of rows.slice(0, last).entries()) {
    if (endState(row).quote !== undefined) {
      return { line: index + 1, what: 'a quote is not closed on this line' };
    }
  }
  return undefined;
}

interface EndState {
  readonly quote?: string;
  /** `[` and `{` that are open at the end of the line, less those that are closed. */
  readonly brackets: number;
}

/** Quotes count where a value begins; an apostrophe inside a word is a letter. */
function endState(row: string): EndState {
  let quote: string | undefined;
  let brackets = 0;
  /** The last character before this one that is no space; '' at the beginning. */
  let last = '';
  for (let at = 0; at < row.length; at++) {
    const character = row[at] ?? '';
    const before = last;
    if (character.trim() !== '') last = character;
    if (quote !== undefined) {
      if (quote === '"' && character === '\\') at++;
      else if (character === quote && row[at + 1] === quote && quote === "'") at++;
      else if (character === quote) quote = undefined;
      continue;
    }
    if (character === '#' && (row[at - 1] ?? ' ').trim() === '') break;
    if ((character === '"' || character === "'") && ':,[{-'.includes(before)) {
      quote = character;
    }
    if (character === '[' || character === '{') brackets++;
    if (character === ']' || character === '}') brackets--;
  }
  return quote === undefined ? { brackets } : { quote, brackets };
}

function unfinished(row: string): string | undefined {
  const { brackets } = endState(row);
  const text = row.trim();
  if (brackets > 0 && !/[[{,]$/.test(text)) return 'a bracket is not closed';
  if (brackets < 0 && text.length > 1 && !/^[\]}]/.test(text))
    return 'a bracket is closed that was not opened';
  if (/^(?:- )?[\w-]+:[^\s:/]/.test(text)) return 'want a space after the colon: name: value';
  if (/^(?:- )?[\w-]+\s*[;=]\s*\S/.test(text)) return 'want a colon and a space: name: value';
  return undefined;
}

/** Whose neighbours agree with each other and not with it. */
function misplaced(
  rows: readonly string[],
  content: readonly number[],
  here: number,
): TextProblem | undefined {
  const depth = (index: number): number | undefined => {
    const at = content[index];
    return at === undefined ? undefined : (rows[at - 1] ?? '').search(/\S/);
  };
  for (const index of [here, here - 1]) {
    const [before, own, after] = [depth(index - 1), depth(index), depth(index + 1)];
    const line = content[index];
    if (line === undefined || own === undefined || before === undefined) continue;
    if (own === before || before !== after) continue;
    const what = `indented by ${own}, the lines around it by ${before}`;
    return { line, what };
  }
  const [first, own, after] = [depth(here - 1), depth(here), depth(here + 1)];
  const [parent, line] = [content[here - 2], content[here - 1]];
  const opens = parent !== undefined && /:\s*(?:#.*)?$/.test(rows[parent - 1] ?? '');
  if (line !== undefined && first !== undefined && own === after && first !== own && opens) {
    return { line, what: `indented by ${first}, the lines below it by ${own ?? 0}` };
  }
  const at = content[here];
  return at === undefined ? undefined : { line: at, what: WORDS['BAD_INDENT'] ?? NO_WORDS };
}
