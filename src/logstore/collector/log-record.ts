import type { LogFilter, LogRecordFormat } from "../../contracts/workload.ts";

type LogRecord = Readonly<Record<string, unknown>>;

export interface LogLine {
  readonly timestampMs: number;
  readonly stream: string;
  readonly message: string;
}

/**
 * A line as Fluent Bit would write it: the line of the CRI log as `log`, through the filters in order, then as JSON, or the one key that is wanted. `undefined`:
 * a filter takes it out. Differs: times have milliseconds. Pure.
 */
export function recordText(line: LogLine, { filters, logKey, kubernetes }: LogRecordFormat): string | undefined {
  let record: LogRecord | undefined = {
    log: `${new Date(line.timestampMs).toISOString()} ${line.stream === "" ? "stdout" : line.stream} F ${line.message}`,
  };
  for (const filter of filters) {
    record = apply(filter, record, kubernetes);
    if (record === undefined) return undefined;
  }
  if (logKey === undefined) return JSON.stringify(record);
  const value = record[logKey];
  return value === undefined ? undefined : typeof value === "string" ? value : JSON.stringify(value);
}

function apply(filter: LogFilter, record: LogRecord, kubernetes: LogRecord | undefined): LogRecord | undefined {
  if (filter.type === "parser") return parse(filter, record);
  if (filter.type === "kubernetes") return withKubernetes(filter, record, kubernetes);
  if (filter.type === "modify") return modify(filter, record);
  const isMatch = new RegExp(filter.regex).test(textOf(record[filter.key]));
  return isMatch === filter.exclude ? undefined : record;
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value));
const without = (record: LogRecord, key: string): LogRecord => Object.fromEntries(Object.entries(record).filter(([name]) => name !== key));

function parse({ key, parser, reserveData, preserveKey }: Extract<LogFilter, { type: "parser" }>, record: LogRecord): LogRecord {
  const text = record[key];
  if (typeof text !== "string") return record;
  const found = parser.format === "json" ? objectIn(text) : partsOf(text, parser.groups);
  if (found === undefined) return record;
  const parsed = parser.timeKey === undefined ? found : without(found, parser.timeKey);
  return { ...(reserveData ? without(record, key) : {}), ...(preserveKey ? { [key]: text } : {}), ...parsed };
}

/** Of a CRI line. */
function partsOf(text: string, groups: readonly string[]): LogRecord | undefined {
  const [time, stream, logtag, ...rest] = text.split(" ");
  if (rest.length === 0 || (stream !== "stdout" && stream !== "stderr")) return undefined;
  const parts: LogRecord = { time, stream, logtag, log: rest.join(" ") };
  return Object.fromEntries(groups.map((name) => [name, parts[name]]));
}

function objectIn(text: string): LogRecord | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as LogRecord) : undefined;
  } catch {
    return undefined;
  }
}

function withKubernetes(filter: Extract<LogFilter, { type: "kubernetes" }>, record: LogRecord, kubernetes: LogRecord = {}): LogRecord {
  const merged = filter.mergeLog ? objectIn(textOf(record["log"])) : undefined;
  const rest = merged !== undefined && !filter.keepLog ? without(record, "log") : record;
  const hidden = [...(filter.labels ? [] : ["labels"]), ...(filter.annotations ? [] : ["annotations"])];
  return { ...rest, ...merged, kubernetes: hidden.reduce(without, kubernetes) };
}

function modify({ verb, key, value }: Extract<LogFilter, { type: "modify" }>, record: LogRecord): LogRecord {
  if (verb === "remove") return without(record, key);
  if (verb === "rename") return key in record && !(value in record) ? { ...without(record, key), [value]: record[key] } : record;
  return verb === "add" && key in record ? record : { ...record, [key]: value };
}
