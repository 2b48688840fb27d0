/**
 * What each check on an Azure machine means, for people: the way from the hardware report over the paravisor to the quote
 * of the vTPM. Spec: Microsoft, "Confidential VM guest attestation design"; docs/azure.md.
 * @module
 */

import {
  byGuest,
  byHost,
  byPolicy,
  bySender,
  byVerifier,
  type Explanations,
} from '../explanation.ts';
import type { AzureCheckId } from './check-list.ts';

const READ_AGAIN =
  'Read the blob again from the vTPM (NV index 0x01400001), whole, and hand it on byte for byte.';
const QUOTE_AGAIN =
  'Take quote, signature and register values again, in one go; a register that changes in between breaks the digest.';

export const AZURE_EXPLANATIONS: Explanations<AzureCheckId> = {
  'azure.hardware': byHost(
    'The hardware report under the paravisor is genuine.',
    'Everything that the vTPM says hangs on it: without it the vTPM may be a program of anybody’s.',
    'See the checks of the hardware report: they say what is wrong with it.',
  ),
  'azure.vmpl': bySender(
    'The paravisor asked for the report, at the highest privilege level (VMPL 0).',
    'A guest that asks by itself can bind any key it likes, and then sign registers of its choice.',
    READ_AGAIN,
  ),
  'azure.hcl': bySender(
    'The paravisor’s blob can be read, and is of a machine of this kind.',
    'What cannot be read to its end cannot be judged.',
    READ_AGAIN,
  ),
  'azure.runtimeData': bySender(
    'The hardware report contains the hash of the paravisor’s runtime data.',
    'Otherwise the key of the vTPM in that data may be anybody’s.',
    READ_AGAIN,
  ),
  'azure.claims': bySender(
    'The runtime data can be read, and names one attestation key and the user data.',
    'Of two keys, or none, the reader would have to choose.',
    READ_AGAIN,
  ),
  'azure.attestationKey': bySender(
    'The attestation key of the vTPM is an RSA key of 2048 bits at least.',
    'A shorter key can be broken, and then signs any register.',
    READ_AGAIN,
  ),
  'azure.quote.format': bySender(
    'The vTPM’s quote has its form.',
    'What cannot be read to its end cannot be judged.',
    QUOTE_AGAIN,
  ),
  'azure.signature.format': bySender(
    'The signature of the quote has its form.',
    'What cannot be read to its end cannot be judged.',
    QUOTE_AGAIN,
  ),
  'azure.signature.scheme': bySender(
    'The quote is signed with RSASSA-PKCS1-v1_5 and SHA-256.',
    'The vTPM’s key signs with nothing else.',
    'Ask for the quote with SHA-256 (tpm2_quote -g sha256).',
  ),
  'azure.quote.signature': bySender(
    'The key that the runtime data names signed the quote.',
    'Otherwise the registers are another machine’s, or made up.',
    'Take the quote with the key at handle 0x81000003 of the same machine as the blob.',
  ),
  'azure.nonce': byVerifier(
    'The quote contains the value that this verifier chose for it.',
    'Another value means a recording, or a quote made for somebody else.',
    'Choose a new value and ask for a quote over it.',
  ),
  'azure.pcr.bank': bySender(
    'The quote is about registers of the SHA-256 bank, in one selection.',
    'Registers of another bank may stand for something else.',
    'Ask for the quote with one selection of sha256.',
  ),
  'azure.pcr.values': bySender(
    'One to twenty-four register values of 32 bytes were handed over.',
    'The quote has their digest only: without the values nobody knows what it is about.',
    QUOTE_AGAIN,
  ),
  'azure.pcr.selection': bySender(
    'The quote is about exactly the registers that were handed over.',
    'A register that the quote does not cover can be given any value.',
    QUOTE_AGAIN,
  ),
  'azure.pcr.digest': bySender(
    'The digest in the quote is that of the handed-over values.',
    'Otherwise a value was changed, or a register moved on between quote and reading.',
    QUOTE_AGAIN,
  ),
  'azure.policy.hardware': byHost(
    'The policy about the hardware report accepts it.',
    'An old or debuggable machine under the paravisor protects neither it nor the guest.',
    'See the checks of the hardware report: they say what the policy minds.',
  ),
  'azure.policy.paravisor': byPolicy(
    'The hardware policy pins the paravisor, by its measurement or by the key that signed it.',
    'Nobody else stands behind the vTPM: any guest of anybody’s could play the paravisor.',
    'List the measurement, or the id key of Microsoft’s paravisor with family and image id.',
  ),
  'azure.policy.pcrs': byGuest(
    'The registers are those of a listed image, as a whole.',
    'Other registers mean another boot loader, kernel or command line.',
    'Compare with the registers of the release; list new releases.',
  ),
  'azure.policy.userData': bySender(
    'What the guest wrote into the runtime data is the expected value.',
    'It dates the hardware report and ties it to a key; another value means another conversation.',
    'Write the expected value to NV index 0x01400002 first, then read the blob.',
  ),
};
