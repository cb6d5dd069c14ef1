/** The ConfigMap `aws-observability/aws-logging`: Fluent Bit's configuration, as far as EKS takes it and this Tidegate has built it. Pure. */
import { runInNewContext } from "node:vm";
import type { LogFilter, LogRecordFormat } from "../../contracts/workload.ts";
import { fitsWildcard } from "../../core/wildcard.ts";

export interface PodLogging {
  readonly region?: string;
  readonly group: string;
  /** The stream is it and the tag of the container's log file; or `stream`, as it is. */
  readonly streamPrefix?: string;
  readonly stream?: string;
  readonly createGroup: boolean;
  readonly retentionDays?: number;
  readonly format: LogRecordFormat;
}

type Verdict = { readonly logging: PodLogging } | { readonly fault: string };

const MOST_CHARACTERS = 5300;
const OUTPUTS = ["cloudwatch_logs", "cloudwatch", "es", "firehose", "kinesis_firehose", "kinesis", "kinesis_streams"];
const BUILT_OUTPUTS = ["cloudwatch_logs", "cloudwatch"];
const FILTERS = ["grep", "parser", "record_modifier", "rewrite_tag", "throttle", "nest", "modify", "kubernetes"];
/** Options that change nothing here: how often, how much at once, where to. */
const WITHOUT_EFFECT = new Set([
  "match",
  "name",
  "auto_retry_requests",
  "net.keepalive",
  "workers",
  "retry_limit",
  "buffer_size",
  "kube_meta_cache_ttl",
]);

interface Section {
  readonly kind: string;
  /** Keys in lower case, as Fluent Bit has it; a key may be there several times. */
  readonly entries: readonly (readonly [key: string, value: string])[];
}

class Fault extends Error {}

/** What is to be done with pods' logs, or, in Fluent Bit's words where they are known, why nothing is. `tag`: `kube.var.log.containers…`, for what `Match` says. */
export function readAwsLogging(data: Readonly<Record<string, string>>, tag: string): Verdict {
  try {
    const total = Object.values(data).join("").length;
    if (total > MOST_CHARACTERS) throw new Fault(`The configuration has ${total} characters; it may have ${MOST_CHARACTERS}`);
    for (const key of Object.keys(data)) {
      if (!["filters.conf", "output.conf", "parsers.conf", "flb_log_cw"].includes(key)) throw new Fault(`${key} is not a supported key`);
    }
    if (data["flb_log_cw"] === "true") throw new Fault("flb_log_cw is not built in this Tidegate, which runs no Fluent Bit of its own");
    const parsers = new Map(sectionsOf(data["parsers.conf"], "PARSER").map((section) => parserOf(section)));
    const filters = sectionsOf(data["filters.conf"], "FILTER").flatMap((section) =>
      matches(section, tag) ? filterOf(section, parsers) : checked(section),
    );
    const outputs = sectionsOf(data["output.conf"], "OUTPUT");
    if (outputs.length === 0) throw new Fault("There is no [OUTPUT] in output.conf");
    for (const output of outputs) checkPlugin(output, { known: OUTPUTS, built: BUILT_OUTPUTS, what: "output" });
    const mine = outputs.filter((section) => matches(section, tag));
    if (mine.length > 1) throw new Fault("Several outputs for the same pod are not built in this Tidegate");
    const [output] = mine;
    if (output === undefined) throw new Fault(`No [OUTPUT] matches ${tag}`);
    return { logging: outputOf(output, filters) };
  } catch (error) {
    if (error instanceof Fault) return { fault: error.message };
    throw error;
  }
}

function sectionsOf(text: string | undefined, kind: string): readonly Section[] {
  const sections: { kind: string; indent?: string; entries: [string, string][] }[] = [];
  for (const raw of (text ?? "").split("\n")) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const [, name] = /^\[(\w+)\]$/.exec(line) ?? [];
    if (name !== undefined) {
      if (name.toUpperCase() !== kind) throw new Fault(`[${name}] is not a supported section; there may be [${kind}]`);
      sections.push({ kind, entries: [] });
      continue;
    }
    const section = sections.at(-1);
    if (section === undefined) throw new Fault(`"${line}" is in no section`);
    const indent = /^\s*/.exec(raw)?.[0] ?? "";
    if ((section.indent ??= indent) !== indent) throw new Fault(`The keys of a [${kind}] section must have the same indentation: "${line}"`);
    if (line.includes("${")) throw new Fault("Environment variables are not supported");
    const [, key = "", value = ""] = /^(\S+)\s*(.*)$/.exec(line) ?? [];
    section.entries.push([key.toLowerCase(), value]);
  }
  for (const section of sections) {
    for (const required of kind === "PARSER" ? ["name", "format"] : ["name", "match"]) {
      if (!section.entries.some(([key]) => key === required))
        throw new Fault(`A [${kind}] section lacks ${required === "match" ? "Match" : required}`);
    }
  }
  return sections;
}

const valueOf = ({ entries }: Section, key: string): string | undefined => entries.find(([name]) => name === key)?.[1];
const isOn = (text: string | undefined): boolean => /^(on|true|yes)$/i.test(text ?? "");

function matches(section: Section, tag: string): boolean {
  return fitsWildcard(valueOf(section, "match") ?? "", tag, { wildcards: "*" });
}

interface Plugins {
  readonly known: readonly string[];
  readonly built: readonly string[];
  readonly what: "output" | "filter";
}

function checkPlugin(section: Section, { known, built, what }: Plugins): string {
  const name = (valueOf(section, "name") ?? "").toLowerCase();
  if (!known.includes(name)) throw new Fault(`${name} is not a supported ${what} plugin`);
  if (!built.includes(name)) throw new Fault(`The ${what} plugin ${name} is not built in this Tidegate`);
  return name;
}

function onlyKnown(section: Section, keys: readonly string[]): void {
  for (const [key] of section.entries) {
    if (!keys.includes(key) && !WITHOUT_EFFECT.has(key)) throw new Fault(`${key} of ${valueOf(section, "name")} is not built in this Tidegate`);
  }
}

type Parser = Extract<LogFilter, { readonly type: "parser" }>["parser"];

function parserOf(section: Section): readonly [string, Parser] {
  onlyKnown(section, ["format", "regex", "time_key", "time_format", "time_keep"]);
  const name = valueOf(section, "name") ?? "";
  const timeKey = isOn(valueOf(section, "time_keep")) ? undefined : valueOf(section, "time_key");
  const format = (valueOf(section, "format") ?? "").toLowerCase();
  if (format === "json") return [name, { format: "json", ...(timeKey !== undefined && { timeKey }) }];
  const groups = format === "regex" ? criGroups(valueOf(section, "regex") ?? "") : undefined;
  if (groups === undefined)
    throw new Fault(`The parser ${name} is not built in this Tidegate: Format json is, and regex for the lines of the CRI log`);
  return [name, { format: "cri", groups, ...(timeKey !== undefined && { timeKey }) }];
}

const SAMPLE = { time: "2026-01-01T00:00:00.000000001Z", stream: "stderr", logtag: "F", log: "a line, of words" };

/** For one look at the sample. */
const LONGEST_TRY_MS = 200;

/**
 * Which parts of a CRI line the expression names; `undefined` when it is for anything else. Users' expressions are tried on this one short line, for a
 * moment at most, and never run on what containers write: one that backtracks would hold up the whole control plane.
 */
function criGroups(text: string): readonly (keyof typeof SAMPLE)[] | undefined {
  try {
    const line = `${SAMPLE.time} ${SAMPLE.stream} ${SAMPLE.logtag} ${SAMPLE.log}`;
    const json = runInNewContext("JSON.stringify(new RegExp(text).exec(line)?.groups ?? {})", { text, line }, { timeout: LONGEST_TRY_MS }) as string;
    const found = JSON.parse(json) as Readonly<Record<string, unknown>>;
    const entries = Object.entries(found);
    const isCri = entries.length > 0 && entries.every(([name, value]) => SAMPLE[name as keyof typeof SAMPLE] === value);
    return isCri ? entries.map(([name]) => name as keyof typeof SAMPLE) : undefined;
  } catch {
    return undefined;
  }
}

/** In how many ways an expression may be tried at each place of a line. */
const MOST_WAYS = 1000;

/** For the same reason: words and alternatives, anchors, single characters; and of the alternatives not so many that they multiply. */
function expression(text: string): string {
  if (/[*+{?\\]/.test(text)) throw new Fault(`${text}: expressions with repetitions or escapes are not built in this Tidegate`);
  try {
    const { source } = new RegExp(text);
    if (waysOf(source) > MOST_WAYS)
      throw new Fault(`${text}: expressions with so many alternatives one after the other are not built in this Tidegate`);
    return source;
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault(`${text} is no regular expression`);
  }
}

/** How many ways there are through an expression without repetitions: alternatives add up, groups in a row multiply. */
function waysOf(source: string): number {
  const open: { sum: number; product: number }[] = [{ sum: 0, product: 1 }];
  for (const [mark] of source.replaceAll(/\[[^\]]*\]/g, "").matchAll(/[(|)]/g)) {
    const group = open.at(-1) ?? { sum: 0, product: 1 };
    if (mark === "(") open.push({ sum: 0, product: 1 });
    else if (mark === "|") Object.assign(group, { sum: group.sum + group.product, product: 1 });
    else {
      open.pop();
      const outer = open.at(-1);
      if (outer !== undefined) outer.product *= group.sum + group.product;
    }
  }
  return open.reduce((ways, { sum, product }) => ways + sum + product, 0);
}

/** Of other pods: nothing but its plugin matters. */
function checked(section: Section): readonly LogFilter[] {
  checkPlugin(section, { known: FILTERS, built: FILTERS, what: "filter" });
  return [];
}

function filterOf(section: Section, parsers: ReadonlyMap<string, Parser>): readonly LogFilter[] {
  const built = ["grep", "parser", "record_modifier", "modify", "kubernetes"];
  const name = checkPlugin(section, { known: FILTERS, built, what: "filter" });
  switch (name) {
    case "parser": {
      onlyKnown(section, ["key_name", "parser", "reserve_data", "preserve_key"]);
      const wanted = valueOf(section, "parser") ?? "";
      const parser = parsers.get(wanted);
      if (parser === undefined) throw new Fault(`There is no parser ${wanted} in parsers.conf`);
      const [reserveData, preserveKey] = ["reserve_data", "preserve_key"].map((key) => isOn(valueOf(section, key)));
      return [
        { type: "parser", key: valueOf(section, "key_name") ?? "log", parser, reserveData: reserveData ?? false, preserveKey: preserveKey ?? false },
      ];
    }
    case "kubernetes":
      onlyKnown(section, ["merge_log", "keep_log", "labels", "annotations"]);
      return [
        {
          type: "kubernetes",
          mergeLog: isOn(valueOf(section, "merge_log")),
          keepLog: isOn(valueOf(section, "keep_log") ?? "on"),
          labels: isOn(valueOf(section, "labels") ?? "on"),
          annotations: isOn(valueOf(section, "annotations") ?? "on"),
        },
      ];
    case "grep":
      onlyKnown(section, ["regex", "exclude"]);
      return section.entries.flatMap(([key, value]): readonly LogFilter[] => {
        if (key !== "regex" && key !== "exclude") return [];
        const [, field = "", pattern = ""] = /^(\S+)\s+(.+)$/.exec(value) ?? [];
        return [{ type: "grep", exclude: key === "exclude", key: field.replace(/^\$/, ""), regex: expression(pattern) }];
      });
    default: {
      const verbs = name === "modify" ? ["add", "set", "remove", "rename"] : ["record", "remove_key"];
      onlyKnown(section, verbs);
      return section.entries.flatMap(([verb, value]): readonly LogFilter[] => {
        if (!verbs.includes(verb)) return [];
        const [, key = "", rest = ""] = /^(\S+)\s*(.*)$/.exec(value) ?? [];
        const what = verb === "record" ? "set" : verb === "remove_key" ? "remove" : verb;
        return [{ type: "modify", verb: what as "add" | "set" | "remove" | "rename", key, value: rest }];
      });
    }
  }
}

function outputOf(section: Section, filters: readonly LogFilter[]): PodLogging {
  onlyKnown(section, ["region", "log_group_name", "log_stream_prefix", "log_stream_name", "auto_create_group", "log_key", "log_retention_days"]);
  const group = valueOf(section, "log_group_name");
  if (group === undefined) throw new Fault("log_group_name is missing");
  const [streamPrefix, stream] = [valueOf(section, "log_stream_prefix"), valueOf(section, "log_stream_name")];
  if ((streamPrefix === undefined) === (stream === undefined)) throw new Fault("There must be log_stream_prefix or log_stream_name, and not both");
  const [region, logKey] = [valueOf(section, "region"), valueOf(section, "log_key")];
  const days = Number(valueOf(section, "log_retention_days") ?? Number.NaN);
  return {
    group,
    createGroup: isOn(valueOf(section, "auto_create_group")),
    format: { filters, ...(logKey !== undefined && { logKey }) },
    ...(region !== undefined && { region }),
    ...(streamPrefix !== undefined && { streamPrefix }),
    ...(stream !== undefined && { stream }),
    ...(Number.isInteger(days) && days > 0 && { retentionDays: days }),
  };
}
