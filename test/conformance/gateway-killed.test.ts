/** C06: a gateway that is killed in the middle of a stream is an error in every client. @module */

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { z } from 'zod';
import { sealedFetch } from '../../client/index.ts';
import { startChild } from '../support/conformance/children.ts';
import {
  aiSdkHears,
  langChainHears,
  openAiHears,
  type OnText,
} from '../support/conformance/cut.ts';
import { LAB_MODEL } from '../support/conformance/lab.ts';
import { row } from '../support/conformance/rows.ts';
import type { PathName, Way } from '../support/conformance/way.ts';

const PLACE = z.strictObject({
  baseURL: z.string(),
  apiKey: z.string(),
  policyPath: z.string(),
  dataDir: z.string(),
});

/** The gateway of a cell is started by the cell. */
function wayTo(path: PathName): Way {
  return {
    path,
    baseURL: '',
    apiKey: '',
    model: LAB_MODEL,
    fetch: globalThis.fetch,
    ended: [],
    charged: () => Promise.resolve(undefined),
  };
}

function cell(hears: (way: Way, onText: OnText) => Promise<void>): (way: Way) => Promise<void> {
  return async (unstarted) => {
    const child = await startChild('gateway-child.ts');
    const { baseURL, apiKey, policyPath, dataDir } = PLACE.parse(child.said);
    const sealed = unstarted.path === 'sealed';
    const fetch = sealed ? sealedFetch({ policy: policyPath }) : globalThis.fetch;
    try {
      let killed = false;
      await hears({ ...unstarted, baseURL, apiKey, fetch }, async (text) => {
        if (text === '' || killed) return;
        killed = true;
        await child.kill();
      });
      assert.ok(killed, 'in the middle of a stream');
    } finally {
      await child.kill();
      rmSync(dataDir, { recursive: true, force: true });
    }
  };
}

row('C06', wayTo, {
  O: cell(openAiHears),
  A: cell(aiSdkHears),
  L: cell(langChainHears),
});
