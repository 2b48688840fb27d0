/** Ends what hangs: so long until the first sign of life, so long between two. Spec: openai-gateway-and-engine §2.4 rule 6. @module */

export interface WatchInput {
  readonly firstMs: number;
  readonly nextMs: number;
  /** Asked when it is late: silence of our own making does not count. */
  readonly isExcused: () => boolean;
  readonly onLate: () => void;
}

export interface Watch {
  readonly heard: () => void;
  readonly stop: () => void;
}

export function watch({ firstMs, nextMs, isExcused, onLate }: WatchInput): Watch {
  const look = (): void => {
    if (!isExcused()) onLate();
  };
  let timer = setInterval(look, firstMs);
  return {
    heard: () => {
      clearInterval(timer);
      timer = setInterval(look, nextMs);
    },
    stop: () => clearInterval(timer),
  };
}
