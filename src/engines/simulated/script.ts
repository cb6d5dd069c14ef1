/** What a simulated container does once it runs. Times are in ms of the injected clock. */
export interface Behaviour {
  /** From the call of startContainer to the running process; default 0. */
  readonly startDelayMs?: number;
  /** Ends by itself after this; runs for ever where left out. */
  readonly runsForMs?: number;
  /** Of an end by itself; default 0. */
  readonly exitCode?: number;
  /** Ends by the OOM killer instead, with 137. */
  readonly outOfMemory?: boolean;
  /** From the stop signal to its end; at once where left out. Longer than the grace: killed, with 137. */
  readonly stopsAfterMs?: number;
  /** What an end by the stop signal answers; default 143, as of a program without a handler. */
  readonly stopExitCode?: number;
  /** Its image cannot be pulled. */
  readonly pullFails?: { readonly kind: "not-found" | "unavailable" | "invalid"; readonly message: string };
  readonly pullDelayMs?: number;
  /** createContainer or startContainer fails with these words. */
  readonly createFails?: string;
  readonly startFails?: string;
  /** What execSync answers; exit code 0 where left out. A function sees how long the container has run. */
  readonly exec?: ExecAnswer | ((call: { readonly command: readonly string[]; readonly ranMs: number }) => ExecAnswer);
}

export interface ExecAnswer {
  readonly exitCode: number;
  readonly stdout?: string;
  readonly stderr?: string;
  /** Takes this long; over the call's time-out it fails as the runtime's would. */
  readonly takesMs?: number;
}

/**
 * Behaviours by image reference, or by `<container name>` for one container. A name wins over an image; a list is used up attempt by
 * attempt, its last one repeating.
 */
export interface SimulationScript {
  readonly images?: Readonly<Record<string, Behaviour>>;
  readonly containers?: Readonly<Record<string, Behaviour | readonly Behaviour[]>>;
  /** For all that is named by neither. */
  readonly otherwise?: Behaviour;
}

/** The behaviour of an attempt of a container. */
export function behaviourOf(
  script: SimulationScript,
  subject: { readonly name: string; readonly image: string; readonly attempt: number },
): Behaviour {
  const named = script.containers?.[subject.name];
  const chosen = Array.isArray(named)
    ? (named as readonly Behaviour[])[Math.min(subject.attempt, named.length - 1)]
    : (named as Behaviour | undefined);
  return chosen ?? imageBehaviour(script, subject.image);
}

/** The behaviour of an image, for its pull. */
export function imageBehaviour(script: SimulationScript, image: string): Behaviour {
  return script.images?.[image] ?? script.otherwise ?? {};
}
