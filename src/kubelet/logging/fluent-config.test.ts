import { describe, expect, it } from "vitest";
import { PLACEMENT, testPod } from "../testing.ts";
import { readAwsLogging } from "./fluent-config.ts";
import { logSinkOf, tellLogging } from "./pod-logging.ts";

const TAG = "kube.var.log.containers.web_default_";
/** As EKS documents it. */
const DATA = {
  "filters.conf": `[FILTER]
    Name parser
    Match *
    Key_name log
    Parser crio
[FILTER]
    Name kubernetes
    Match kube.*
    Merge_Log On
    Keep_Log Off
    Buffer_Size 0
    Kube_Meta_Cache_TTL 300s
`,
  "output.conf": `[OUTPUT]
    Name cloudwatch_logs
    Match   kube.*
    region us-west-2
    log_group_name my-logs
    log_stream_prefix from-fluent-bit-
    log_retention_days 60
    auto_create_group true
`,
  "parsers.conf": `[PARSER]
    Name crio
    Format Regex
    Regex ^(?<time>[^ ]+) (?<stream>stdout|stderr) (?<logtag>P|F) (?<log>.*)$
    Time_Key    time
    Time_Format %Y-%m-%dT%H:%M:%S.%L%z
`,
};

const read = (change: Partial<typeof DATA> = {}): ReturnType<typeof readAwsLogging> => readAwsLogging({ ...DATA, ...change }, TAG);
const faultOf = (change: Partial<typeof DATA>): string => {
  const verdict = read(change);
  return "fault" in verdict ? verdict.fault : "none";
};

describe("the ConfigMap aws-logging", () => {
  it("says where lines go and what becomes of them", () => {
    expect(read()).toEqual({
      logging: {
        region: "us-west-2",
        group: "my-logs",
        streamPrefix: "from-fluent-bit-",
        createGroup: true,
        retentionDays: 60,
        format: {
          filters: [
            {
              type: "parser",
              key: "log",
              parser: { format: "cri", groups: ["time", "stream", "logtag", "log"], timeKey: "time" },
              reserveData: false,
              preserveKey: false,
            },
            { type: "kubernetes", mergeLog: true, keepLog: false, labels: true, annotations: true },
          ],
        },
      },
    });
  });

  it.each([
    ["output.conf", "[OUTPUT]\n  Name s3\n  Match *", "s3 is not a supported output plugin"],
    ["output.conf", "[OUTPUT]\n  Name es\n  Match *", "The output plugin es is not built in this Tidegate"],
    ["output.conf", "[OUTPUT]\n  Name cloudwatch\n  Match *\n  log_group_name g", "log_stream_prefix or log_stream_name"],
    ["output.conf", "[OUTPUT]\n  Name cloudwatch\n  Match other.*\n  log_group_name g", "No [OUTPUT] matches"],
    ["output.conf", "[OUTPUT]\n  Name cloudwatch\n   Match *", "the same indentation"],
    ["output.conf", "[OUTPUT]\n  Name cloudwatch\n  Match *\n  region ${REGION}", "Environment variables"],
    ["output.conf", "[INPUT]\n  Name tail", "[INPUT] is not a supported section"],
    ["output.conf", "", "There is no [OUTPUT]"],
    ["output.conf", `[OUTPUT]\n  Name cloudwatch\n# ${"x".repeat(5300)}`, "it may have 5300"],
    ["filters.conf", "[FILTER]\n  Name lua\n  Match *", "lua is not a supported filter plugin"],
    ["filters.conf", "[FILTER]\n  Name nest\n  Match *", "The filter plugin nest is not built in this Tidegate"],
    ["filters.conf", "[FILTER]\n  Name grep\n  Match *\n  Regex log (a+)+$", "expressions with repetitions"],
    ["filters.conf", `[FILTER]\n  Name grep\n  Match *\n  Regex log ${"(a|a)".repeat(30)}b`, "so many alternatives"],
    ["filters.conf", "[FILTER]\n  Name parser\n  Match *\n  Parser none", "There is no parser none"],
    ["parsers.conf", "[PARSER]\n  Name crio\n  Format regex\n  Regex ^(?<a>x)$", "The parser crio is not built"],
  ])("is refused with what is wrong: %s %j", (file, text, words) => {
    expect(faultOf({ [file]: text })).toContain(words);
  });

  it("takes words and alternatives", () => {
    const regex = "^(GET|POST) /(a|b|c)[(|]$";
    const verdict = read({ "filters.conf": `[FILTER]\n  Name grep\n  Match *\n  Regex log ${regex}` });
    expect(verdict).toMatchObject({ logging: { format: { filters: [{ type: "grep", key: "log", exclude: false }] } } });
  });

  it("holds nobody up with an expression that tries for ever, nor with such a pattern", () => {
    const parser = String.raw`[PARSER]
  Name crio
  Format regex
  Regex ^(?<log>(([^x]+)+)+)x$`;
    expect(faultOf({ "parsers.conf": parser })).toContain("The parser crio is not built");
    const output = `[OUTPUT]\n  Name cloudwatch\n  Match ${"*a".repeat(30)}*b\n  log_group_name g`;
    const tag = `kube.var.log.containers.${"a".repeat(250)}_default_`;
    expect(readAwsLogging({ ...DATA, "output.conf": output }, tag)).toMatchObject({
      fault: expect.stringContaining("No [OUTPUT] matches") as string,
    });
  });
});

describe("a pod's logging", () => {
  it("is told as AWS tells it", () => {
    expect(tellLogging({}).annotation).toBe("LoggingDisabled: LOGGING_CONFIGMAP_NOT_FOUND");
    expect(tellLogging({ logFault: "s3 is not a supported output plugin" }).event).toMatchObject({
      type: "Warning",
      reason: "LoggingDisabled",
      message: "Disabled logging for pod due to invalid configmap. s3 is not a supported output plugin. Please fix the logging configmap",
    });
    const verdict = read();
    if ("fault" in verdict) throw new Error(verdict.fault);
    expect(tellLogging(verdict)).toMatchObject({
      annotation: "LoggingEnabled",
      event: { type: "Normal", message: "Successfully enabled logging for pod" },
    });
    expect(logSinkOf({ ...PLACEMENT, ...verdict }, testPod(), { name: "app" })).toMatchObject({
      type: "file",
      ship: { region: "us-west-2", group: "my-logs", stream: "from-fluent-bit-kube.var.log.containers.web_default_app-{containerId}.log" },
    });
    expect(logSinkOf(PLACEMENT, testPod(), { name: "app" })).toEqual({ type: "file" });
  });
});
