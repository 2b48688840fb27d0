/** Tools in the words of the prompt. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toolPrompt } from '../../enclave-worker/grammar/tool-text.ts';
import { turnsOf } from '../../enclave-worker/tool-turns.ts';

const TOOLS = [{ name: 'clock' }];
const call = (id: string, zone: string) => ({
  id,
  name: 'clock',
  arguments: `{"zone":"${zone}"}`,
});

test('what can be called is said in the system turn, which is made where there is none', () => {
  const user = { role: 'user', content: 'Hi' } as const;
  assert.deepEqual(turnsOf([user], TOOLS), [
    { role: 'system', content: toolPrompt(TOOLS) },
    { role: 'user', content: 'Hi' },
  ]);
  const brief = { role: 'system', content: 'Be brief.' } as const;
  assert.deepEqual(turnsOf([brief, user], TOOLS)[0], {
    role: 'system',
    content: `Be brief.\n\n${toolPrompt(TOOLS)}`,
  });
  assert.deepEqual(turnsOf([brief, user], []), [brief, user]);
});

test('earlier calls are told as the model writes them, and their results as one turn', () => {
  const turns = turnsOf(
    [
      { role: 'user', content: 'When?' },
      { role: 'assistant', content: 'I look.', toolCalls: [call('a', 'x'), call('b', 'y')] },
      { role: 'tool', toolCallId: 'a', content: 'noon' },
      { role: 'tool', toolCallId: 'b', content: 'night' },
      { role: 'assistant', content: '', toolCalls: [call('c', 'z')] },
      { role: 'tool', toolCallId: 'c', content: 'dawn' },
    ],
    [],
  );
  const said = (zone: string) =>
    `<tool_call>\n{"name": "clock", "arguments": {"zone":"${zone}"}}\n</tool_call>`;
  assert.deepEqual(turns.slice(1), [
    { role: 'assistant', content: `I look.\n${said('x')}\n${said('y')}` },
    {
      role: 'user',
      content: '<tool_response>\nnoon\n</tool_response>\n<tool_response>\nnight\n</tool_response>',
    },
    { role: 'assistant', content: said('z') },
    { role: 'user', content: '<tool_response>\ndawn\n</tool_response>' },
  ]);
});
