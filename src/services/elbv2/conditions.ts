import type { RuleCondition as ConditionInput } from "@aws-sdk/client-elastic-load-balancing-v2";
import type { RuleCondition } from "../../contracts/load-balancing.ts";
import type { Members } from "../../contracts/service.ts";
import { validationError } from "./errors.ts";

const MAX_VALUES = 5;
const MAX_WILDCARDS = 6;
const MAX_LENGTH = 128;
/** What a name of a header may be made of (RFC 9110), but for the quotation mark, which HAProxy's language would read. */
const HEADER_NAME = /^[A-Za-z0-9!#$%&*+.^_`|~-]{1,40}$/;
const HOST = /^[A-Za-z0-9.*?-]+$/;
const PATH = /^[A-Za-z0-9_.$/~"'@:+&()!,;=%#[\]*?-]+$/;
const METHOD = /^[A-Z_-]{1,40}$/;
const CIDR = /^(?:\d{1,3}\.){3}\d{1,3}\/\d{1,2}$/;

/** How a rule's conditions are treated; matching by regular expression (`RegexValues`) is refused by name. */
export const CONDITION_MEMBERS: Members = {
  "Conditions.Field": "used",
  "Conditions.Values": "used",
  "Conditions.HostHeaderConfig.Values": "used",
  "Conditions.PathPatternConfig.Values": "used",
  "Conditions.HttpHeaderConfig.HttpHeaderName": "used",
  "Conditions.HttpHeaderConfig.Values": "used",
  "Conditions.HttpRequestMethodConfig.Values": "used",
  "Conditions.SourceIpConfig.Values": "used",
  "Conditions.QueryStringConfig.Values": "used",
};

/** Reads a rule's conditions. @throws AwsError ValidationError. */
export function readConditions(inputs: readonly ConditionInput[]): readonly RuleCondition[] {
  if (inputs.length === 0) throw validationError("A condition must be specified");
  const conditions = inputs.map(readCondition);
  for (const field of ["host-header", "path-pattern", "http-request-method", "source-ip"]) {
    if (conditions.filter((condition) => condition.field === field).length > 1)
      throw validationError(`A rule can only have one '${field}' condition`);
  }
  const values = conditions.flatMap(textsOf);
  const count = conditions.reduce(
    (sum, condition) => sum + (condition.field === "query-string" ? condition.pairs.length : condition.values.length),
    0,
  );
  if (count > MAX_VALUES) throw validationError(`A rule can only have '${MAX_VALUES}' condition values`);
  const wildcards = values.reduce((sum, value) => sum + (value.match(/[*?]/g)?.length ?? 0), 0);
  if (wildcards > MAX_WILDCARDS) throw validationError(`A rule can only have '${MAX_WILDCARDS}' condition wildcards`);
  return conditions;
}

function readCondition(input: ConditionInput): RuleCondition {
  const field = input.Field ?? implied(input);
  switch (field) {
    case "host-header":
      return { field, values: checked(field, input.HostHeaderConfig?.Values ?? input.Values, (value) => HOST.test(value)) };
    case "path-pattern":
      return { field, values: checked(field, input.PathPatternConfig?.Values ?? input.Values, (value) => PATH.test(value)) };
    case "http-request-method":
      return { field, values: checked(field, input.HttpRequestMethodConfig?.Values ?? input.Values, (value) => METHOD.test(value)) };
    case "source-ip":
      return { field, values: checked(field, input.SourceIpConfig?.Values ?? input.Values, isCidr) };
    case "http-header": {
      const name = input.HttpHeaderConfig?.HttpHeaderName ?? "";
      if (!HEADER_NAME.test(name)) throw validationError(`HTTP header name '${name}' is not valid`);
      if (name.toLowerCase() === "host") throw validationError("HTTP header name 'Host' is not allowed; use a 'host-header' condition");
      return { field, name, values: checked(field, input.HttpHeaderConfig?.Values, () => true) };
    }
    case "query-string": {
      const pairs = (input.QueryStringConfig?.Values ?? []).map(({ Key, Value = "" }) => (Key ? { key: Key, value: Value } : { value: Value }));
      checked(
        field,
        pairs.map(({ value }) => value),
        () => true,
      );
      return { field, pairs };
    }
    default:
      throw validationError(
        `Condition field '${field}' must be one of '[host-header, http-header, http-request-method, path-pattern, query-string, source-ip]'`,
      );
  }
}

function implied(input: ConditionInput): string {
  if (input.HostHeaderConfig !== undefined) return "host-header";
  if (input.PathPatternConfig !== undefined) return "path-pattern";
  if (input.HttpHeaderConfig !== undefined) return "http-header";
  if (input.HttpRequestMethodConfig !== undefined) return "http-request-method";
  if (input.SourceIpConfig !== undefined) return "source-ip";
  return input.QueryStringConfig === undefined ? "" : "query-string";
}

function checked(field: string, values: readonly string[] | undefined, isValid: (value: string) => boolean): readonly string[] {
  if (values === undefined || values.length === 0) throw validationError(`A condition value must be specified for '${field}'`);
  for (const value of values) {
    if (value === "") throw validationError(`Condition value of '${field}' cannot be empty`);
    if (value.length > MAX_LENGTH) throw validationError(`Condition value '${value}' cannot be longer than '${MAX_LENGTH}' characters`);
    if (!isValid(value)) throw validationError(`Condition value '${value}' contains a character that is not valid for '${field}'`);
  }
  return values;
}

function isCidr(value: string): boolean {
  const [address = "", prefix = ""] = value.split("/");
  return CIDR.test(value) && Number(prefix) <= 32 && address.split(".").every((part) => Number(part) <= 255);
}

function textsOf(condition: RuleCondition): readonly string[] {
  if (condition.field === "query-string") return condition.pairs.flatMap(({ key = "", value }) => [key, value]);
  return condition.field === "source-ip" || condition.field === "http-request-method" ? [] : condition.values;
}

/** As the API shows it. */
export function conditionView(condition: RuleCondition): ConditionInput {
  const { field } = condition;
  switch (field) {
    case "host-header":
      return { Field: field, Values: [...condition.values], HostHeaderConfig: { Values: [...condition.values] } };
    case "path-pattern":
      return { Field: field, Values: [...condition.values], PathPatternConfig: { Values: [...condition.values] } };
    case "http-request-method":
      return { Field: field, HttpRequestMethodConfig: { Values: [...condition.values] } };
    case "source-ip":
      return { Field: field, SourceIpConfig: { Values: [...condition.values] } };
    case "http-header":
      return { Field: field, HttpHeaderConfig: { HttpHeaderName: condition.name, Values: [...condition.values] } };
    case "query-string":
      break;
  }
  return {
    Field: field,
    QueryStringConfig: { Values: condition.pairs.map(({ key, value }) => ({ ...(key !== undefined && { Key: key }), Value: value })) },
  };
}
