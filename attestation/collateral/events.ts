/**
 * What the store tells whoever composed it: what changed, and what went wrong without failing a request. Keys, hosts,
 * codes and numbers only; a log table can take every field.
 * @module
 */

export type CollateralEvent =
  | {
      /**
       * A newer list or document took the place of an older one, or of none: verdicts that rest on the old one, or on
       * what somebody showed, deserve another look.
       */
      readonly kind: 'replaced';
      readonly key: string;
      /** Serials that the old list did not have, all of them where there was none; 0 for documents. */
      readonly newlyRevoked: number;
      /** The evaluation number of a document rose. */
      readonly isNewEvaluation: boolean;
    }
  | {
      /** A source answered with something genuine from before what has been seen already. */
      readonly kind: 'refused_older';
      readonly key: string;
      readonly host: string;
    }
  | {
      readonly kind: 'source_failed';
      readonly key: string;
      readonly host: string;
      readonly code: string;
      /** 0 when there was no answer. */
      readonly status: number;
    }
  | {
      /** The disk did not take or give something; memory goes on alone. */
      readonly kind: 'storage_failed';
      readonly code: string;
    }
  /** The floors of earlier runs could not be read: a rollback from before this start cannot be noticed. */
  | { readonly kind: 'floors_lost' };

export type OnCollateralEvent = (event: CollateralEvent) => void;
