/**
 * What the simulated machine measures. No image stands behind these values: each is the SHA-384 of a text, so that
 * anybody can compute it and nobody mistakes it for a real measurement. Development policies list them.
 * Spec: tdx.md §5, §9; sev-snp.md §5.1.
 * @module
 */

import { sha384 } from '#primitives';
import type { TdxMeasurement } from '../../../attestation/tdx/td-policy.ts';
import { fixed, utf8, type Bytes } from '../../../core/bytes.ts';

function labelled(register: string): Bytes<48> {
  return sha384(utf8(`veilgate demo image/1 ${register}`));
}

function zero(): Bytes<48> {
  return fixed(new Uint8Array(48), 48);
}

export const DEMO_MEASUREMENTS: TdxMeasurement = {
  image: 'veilgate-demo',
  shape: 'simulated',
  mrtd: labelled('MRTD'),
  rtmr0: labelled('RTMR0'),
  rtmr1: labelled('RTMR1'),
  rtmr2: labelled('RTMR2'),
  rtmr3: labelled('RTMR3'),
  mrconfigid: zero(),
  mrowner: zero(),
  mrownerconfig: zero(),
};

/** A whole identity of an SNP guest on one machine shape. */
export interface DemoSnpMeasurement {
  readonly image: string;
  readonly shape: string;
  readonly measurement: Bytes<48>;
  readonly hostData: Bytes<32>;
  readonly idKeyDigest: Bytes<48>;
}

export const DEMO_SNP_MEASUREMENTS: DemoSnpMeasurement = {
  image: 'veilgate-demo',
  shape: 'simulated',
  measurement: labelled('MEASUREMENT'),
  hostData: fixed(new Uint8Array(32), 32),
  idKeyDigest: zero(),
};
