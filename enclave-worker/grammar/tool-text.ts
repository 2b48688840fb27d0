/**
 * How calls of tools are written by the model and shown to it: the form of Hermes and Qwen for ChatML models, because
 * many models were trained on it and because its opening never occurs by accident. Pure text; what of it is enforced is
 * in tools.ts. Spec: docs/structured-output.md "Tool calls".
 * @module
 */

export const CALL_OPEN = '<tool_call>';
export const CALL_NAME = '\n{"name": "';
export const CALL_ARGUMENTS = '", "arguments": ';
export const CALL_CLOSE = '}\n</tool_call>';
export const CALL_NEXT = '\n';

export interface ToolFunction {
  readonly name: string;
  readonly description?: string | undefined;
  /** A JSON Schema of an object. Absent: no arguments. */
  readonly parameters?: unknown;
}

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON text of an object, as the model wrote it. */
  readonly arguments: string;
}

/** For the system turn of a model whose template does not speak of tools itself. */
export function toolPrompt(tools: readonly ToolFunction[]): string {
  const listed = tools.map(({ name, description, parameters }) =>
    JSON.stringify({
      type: 'function',
      function: { name, description, parameters: parameters ?? { type: 'object', properties: {} } },
    }),
  );
  return [
    '# Tools',
    '',
    'You may call one or more functions to assist with the user query.',
    '',
    'You are provided with function signatures within <tools></tools> XML tags:',
    '<tools>',
    ...listed,
    '</tools>',
    '',
    'For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:',
    '<tool_call>',
    '{"name": <function-name>, "arguments": <args-json-object>}',
    '</tool_call>',
  ].join('\n');
}

/** An assistant's turn of the past, as the model would have written it. */
export function toolCallsText(calls: readonly Omit<ToolCall, 'id'>[]): string {
  return calls
    .map(
      ({ name, arguments: text }) =>
        `${CALL_OPEN}${CALL_NAME}${name}${CALL_ARGUMENTS}${text}${CALL_CLOSE}`,
    )
    .join(CALL_NEXT);
}

/** What a tool answered, for a user's turn. */
export function toolResultText(content: string): string {
  return `<tool_response>\n${content}\n</tool_response>`;
}
