/**
 * What the simulated machine measures. No image stands behind these values: each is the SHA-384 of a text, so that
 * anybody can compute it and nobody mistakes it for a real measurement. Development policies list them.
 * Spec: tdx.md §5, §9; sev-snp.md §5.1.
 * @module
 */

import { sha256, sha384 } from '#primitives';
import type { TdxMeasurement } from '../../../attestation/tdx/td-policy.ts';
import { fixed, utf8, type Bytes } from '../../../core/bytes.ts';

type Demo = 'image' | 'gateway';

function labelled(register: string, demo: Demo = 'image'): Bytes<48> {
  return sha384(utf8(`veilgate demo ${demo}/1 ${register}`));
}

function zero(): Bytes<48> {
  return fixed(new Uint8Array(48), 48);
}

function measurements(image: string, demo: Demo): TdxMeasurement {
  return {
    image,
    shape: 'simulated',
    mrtd: labelled('MRTD', demo),
    rtmr0: labelled('RTMR0', demo),
    rtmr1: labelled('RTMR1', demo),
    rtmr2: labelled('RTMR2', demo),
    rtmr3: labelled('RTMR3', demo),
    mrconfigid: zero(),
    mrowner: zero(),
    mrownerconfig: zero(),
  };
}

export const DEMO_MEASUREMENTS = measurements('veilgate-demo', 'image');
export const DEMO_GATEWAY_MEASUREMENTS = measurements('veilgate-demo-gateway', 'gateway');

/** What the demo gateway states about itself, as the development policy lists it: there is no image. */
export const DEMO_GATEWAY_WORKLOAD: { readonly image: Bytes<32>; readonly config: Bytes<32> } = {
  image: sha256(utf8('veilgate demo gateway/1 workload image')),
  config: sha256(utf8('veilgate demo gateway/1 workload config')),
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

export const DEMO_GATEWAY_SNP_MEASUREMENT: Bytes<48> = labelled('MEASUREMENT', 'gateway');
