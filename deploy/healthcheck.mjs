/**
 * Health checks without a shell, curl or a certificate: the status is all that is looked at, and nothing is sent.
 *
 *   node deploy/healthcheck.mjs URL [STATUS]      the URL answers STATUS (200) within three seconds
 *   node deploy/healthcheck.mjs FILE SECONDS      the file was written at most so long ago
 *
 * Exit status: 0 healthy, 1 not.
 */

import { statSync } from 'node:fs';
import { get as getHttp } from 'node:http';
import { get as getHttps } from 'node:https';

const TIMEOUT_MS = 3000;
const STATUS_OK = 200;
const MS_PER_S = 1000;

function answers(url, status) {
  const get = url.startsWith('https:') ? getHttps : getHttp;
  return new Promise((resolve) => {
    // Whose certificate it is decides nothing here: a lie about health is no more than that.
    const options = { rejectUnauthorized: false, signal: AbortSignal.timeout(TIMEOUT_MS) };
    get(url, options, (response) => {
      response.resume();
      resolve(response.statusCode === status);
    }).on('error', () => resolve(false));
  });
}

function isYoung(path, seconds) {
  try {
    return Date.now() - statSync(path).mtimeMs <= seconds * MS_PER_S;
  } catch {
    return false; // not there
  }
}

const [target = '', limit] = process.argv.slice(2);
const isHealthy = /^https?:/.test(target)
  ? await answers(target, limit === undefined ? STATUS_OK : Number(limit))
  : isYoung(target, Number(limit));
process.exit(isHealthy ? 0 : 1);
