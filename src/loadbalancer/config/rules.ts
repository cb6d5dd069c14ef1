import type { RuleCondition } from "../../contracts/load-balancing.ts";
import { answerLines, NO_TARGET, sharesOf } from "./actions.ts";
import { word } from "./escape.ts";
import type { Frontend, ProxyAction } from "./proxy-model.ts";

/**
 * How a listener of an Application Load Balancer decides. HAProxy answers before it chooses a backend, whatever the order of the lines: so the
 * first rule that matches is found first, and kept by its id in `txn.rule`; what follows only asks for it.
 */
export interface Decision {
  /** The lines that choose, and those of actions that answer by themselves. */
  readonly choice: readonly string[];
  /** To which backend, in the end. */
  readonly backends: readonly string[];
}

const CHOSEN = "{ var(txn.rule) -m found }";

/** @param handsOver whether a worker that was replaced passes its requests on, to be judged by the rules of its successor. */
export function decisionOf(frontend: Frontend, { handsOver }: { readonly handsOver: boolean }): Decision {
  const { rules, action } = frontend;
  const acls = rules.flatMap(({ id, conditions }) => conditions.flatMap((condition, index) => aclLines(`r-${id}-${index}`, condition)));
  const marks = rules.map(({ id, conditions }) => {
    const met = conditions.map((_, index) => `r-${id}-${index}`).join(" ");
    return `http-request set-var(txn.rule) str(${id}) if !${CHOSEN} ${met}`;
  });
  const leaves = handsOver && rules.length > 0 ? ["http-request set-var(txn.rule) str(next) if { stopping }"] : [];
  const cases = [
    ...rules.map((rule) => ({ action: rule.action, id: rule.id, condition: `{ var(txn.rule) -m str ${rule.id} }` })),
    { action, id: frontend.id, condition: rules.length === 0 ? "" : `!${CHOSEN}` },
  ];
  const parts = cases.map((each) => outcomeOf(each, frontend));
  return {
    choice: [...acls, ...leaves, ...marks, ...parts.flatMap(({ choice }) => choice)],
    backends: parts.flatMap(({ backends }) => backends),
  };
}

interface Case {
  readonly action: ProxyAction;
  readonly id: string;
  readonly condition: string;
}

function outcomeOf({ action, condition }: Case, frontend: Frontend): Decision {
  if (action.type !== "forward") return { choice: answerLines(action, frontend, condition), backends: [] };
  const { total, shares } = sharesOf(action);
  const last = shares.at(-1)?.backend ?? NO_TARGET;
  const isDefault = !condition.startsWith("{");
  const rest = isDefault ? `default_backend ${last}` : `use_backend ${last} if ${condition}`;
  if (shares.length < 2) return { choice: [], backends: [rest] };
  const draw = `http-request set-var(txn.draw) rand(${total})${condition === "" ? "" : ` if ${condition}`}`;
  const first = shares.slice(0, -1).map(({ backend, below }) => `use_backend ${backend} if ${condition} { var(txn.draw) -m int lt ${below} }`);
  return { choice: [draw], backends: [...first.map((line) => line.replace("if  ", "if ")), rest] };
}

/** Lines of one name are alternatives: one of the values has to match. */
function aclLines(name: string, condition: RuleCondition): readonly string[] {
  switch (condition.field) {
    case "host-header":
      return condition.values.map((value) => `acl ${name} req.hdr(host),field(1,:) ${textMatch(value, { ignoreCase: true })}`);
    case "path-pattern":
      return condition.values.map((value) => `acl ${name} path ${textMatch(value, { ignoreCase: false })}`);
    case "http-header":
      return condition.values.map((value) => `acl ${name} req.fhdr(${word(condition.name)}) ${textMatch(value, { ignoreCase: true })}`);
    case "http-request-method":
      return condition.values.map((value) => `acl ${name} method -m str -- ${word(value)}`);
    case "source-ip":
      return condition.values.map((value) => `acl ${name} src -m ip -- ${value}`);
    case "query-string":
      break;
  }
  return condition.pairs.map(({ key, value }) => `acl ${name} query -m reg -i -- ${word(pairPattern(key, value))}`);
}

/** The cheapest way to ask for a text with `*` and `?`. */
function textMatch(value: string, { ignoreCase }: { readonly ignoreCase: boolean }): string {
  const flag = ignoreCase ? "-i " : "";
  if (!/[*?]/.test(value)) return `-m str ${flag}-- ${word(value)}`;
  const [, inner = ""] = /^([^*?]+)\*$/.exec(value) ?? [];
  if (inner !== "") return `-m beg ${flag}-- ${word(inner)}`;
  const [, end = ""] = /^\*([^*?]+)$/.exec(value) ?? [];
  if (end !== "") return `-m end ${flag}-- ${word(end)}`;
  return `-m reg ${flag}-- ${word(`^${pattern(value, ".")}$`)}`;
}

/** A pair anywhere in the query string. */
function pairPattern(key: string | undefined, value: string): string {
  const before = key === undefined ? "([^&=]*=)?" : `${pattern(key, "[^&=]")}=`;
  return `(^|&)${before}${pattern(value, "[^&]")}(&|$)`;
}

function pattern(text: string, any: string): string {
  const escaped = text.replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`);
  return escaped.replaceAll(/[*?]/g, (wildcard) => (wildcard === "*" ? `${any}*` : any));
}
