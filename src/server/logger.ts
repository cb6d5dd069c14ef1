import { pino } from "pino";
import type { Logger, LogFields } from "../core/logger.ts";

/** Lines that cannot be written wait up to this length together; then new ones are dropped. */
const WAITING_CHARACTERS = 4 * 1024 * 1024;

interface PinoLike {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): PinoLike;
}

/**
 * JSON lines on stdout, each with `time` (ISO), `level` and `msg`. The level comes from TIDEGATE_LOG_LEVEL (default `info`). `onWritten` is
 * told how much went out.
 */
export function createLogger({ onWritten }: { readonly onWritten: (bytes: number) => void }): Logger {
  const level = process.env["TIDEGATE_LOG_LEVEL"] ?? "info";
  const options = {
    level,
    base: undefined,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const destination = pino.destination({ dest: 1, sync: false, minLength: 0, maxLength: WAITING_CHARACTERS });
  // A full disk costs log lines, not the control plane; what waits is written with the next line that can be.
  destination.on("error", () => {});
  const write = (line: string): void => {
    destination.write(line);
    onWritten(line.length);
  };
  return wrap(pino(options, { write }));
}

function wrap(inner: PinoLike): Logger {
  return {
    debug: (message, fields = {}) => inner.debug(readable(fields), message),
    info: (message, fields = {}) => inner.info(readable(fields), message),
    warn: (message, fields = {}) => inner.warn(readable(fields), message),
    error: (message, fields = {}) => inner.error(readable(fields), message),
    child: (fields) => wrap(inner.child(fields)),
  };
}

/** Errors become `{kind?, message, stack}`, with their causes; all else stays. */
function readable(fields: LogFields): object {
  if (!Object.values(fields).some((value) => value instanceof Error)) return fields;
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, value instanceof Error ? describe(value) : value]));
}

function describe(error: Error): object {
  const cause = error.cause instanceof Error ? describe(error.cause) : error.cause;
  return { name: error.name, kind: (error as { kind?: string }).kind, message: error.message, stack: error.stack, cause };
}
