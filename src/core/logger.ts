/**
 * Structured logging: JSON lines with fixed keys. Keys in use: `msg`, `room`, `requestId`, `account`, `region`, `service`, `operation`,
 * `status`, `durationMs`, `key` (of a controller), `taskId`, `vpcId`, `err`. Never a secret.
 */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to each of its lines. */
  child(fields: LogFields): Logger;
}

export type LogFields = Readonly<Record<string, unknown>>;

/** Says nothing. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
};
