import { fitsWildcard } from "../../core/wildcard.ts";

/** Who wants to take a role on, by which action, and what is known of the request. */
export interface TrustRequest {
  /** e.g. `sts:AssumeRoleWithWebIdentity`. */
  readonly action: string;
  /** By any of its names: a role's session is known by the role's and its account's, too. */
  readonly principal: { readonly type: "AWS" | "Federated" | "Service"; readonly names: readonly string[] };
  /** Values by condition key, in whatever case. */
  readonly context: Readonly<Record<string, readonly string[]>>;
}

type Statement = Readonly<Record<string, unknown>>;

/**
 * Whether a role's trust policy lets somebody take it on: a statement allows it and none denies it. What cannot be judged (an unknown operator) allows
 * nothing and denies all. Pure.
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
 */
export function isTrusted(document: string, request: TrustRequest): boolean {
  const statements = statementsOf(document);
  const applies = (effect: "Allow" | "Deny"): boolean =>
    statements.some((each) => each["Effect"] === effect && fits(each, request, effect === "Deny"));
  return applies("Allow") && !applies("Deny");
}

function statementsOf(document: string): readonly Statement[] {
  const { Statement } = JSON.parse(document) as { readonly Statement?: Statement | readonly Statement[] };
  return Statement === undefined ? [] : Array.isArray(Statement) ? (Statement as readonly Statement[]) : [Statement as Statement];
}

function fits(statement: Statement, { action, principal, context }: TrustRequest, whereUnknown: boolean): boolean {
  const { Action, NotAction, Principal, NotPrincipal, Condition = {} } = statement;
  const isAction = (patterns: unknown): boolean => textsOf(patterns).some((pattern) => fitsWildcard(pattern.toLowerCase(), action.toLowerCase()));
  if (Action === undefined ? isAction(NotAction) : !isAction(Action)) return false;
  if (Principal === undefined ? isPrincipal(NotPrincipal, principal) : !isPrincipal(Principal, principal)) return false;
  return Object.entries(Condition as Readonly<Record<string, object>>).every(([operator, keys]) =>
    Object.entries(keys).every(([key, values]) => holds(operator, { given: valuesOf(context, key), wanted: textsOf(values) }) ?? whereUnknown),
  );
}

function isPrincipal(element: unknown, { type, names }: TrustRequest["principal"]): boolean {
  if (element === "*") return true;
  const listed = textsOf((element as Readonly<Record<string, unknown>> | undefined)?.[type]);
  return listed.some((each) => names.includes(each) || (each === "*" && type === "AWS"));
}

/** Of a key that the request has; keys differ in more than their case. */
function valuesOf(context: TrustRequest["context"], key: string): readonly string[] | undefined {
  const found = Object.entries(context).find(([name]) => name.toLowerCase() === key.toLowerCase());
  return found?.[1];
}

interface Compared {
  readonly given: readonly string[] | undefined;
  readonly wanted: readonly string[];
}

const TESTS: Readonly<Record<string, (pattern: string, value: string) => boolean>> = {
  StringEquals: (pattern, value) => pattern === value,
  StringEqualsIgnoreCase: (pattern, value) => pattern.toLowerCase() === value.toLowerCase(),
  StringLike: (pattern, value) => fitsWildcard(pattern, value),
  ArnEquals: (pattern, value) => fitsWildcard(pattern, value),
  ArnLike: (pattern, value) => fitsWildcard(pattern, value),
  Bool: (pattern, value) => pattern.toLowerCase() === value.toLowerCase(),
};

/** Whether a condition holds; `undefined`: its operator is not known here. */
function holds(operator: string, { given, wanted }: Compared): boolean | undefined {
  const [, quantifier, name = "", ifExists] = /^(ForAnyValue:|ForAllValues:)?(\w+?)(IfExists)?$/.exec(operator) ?? [];
  if (name === "Null") return wanted.some((value) => (value.toLowerCase() === "true") === (given === undefined));
  const isNegated = /^(?:String|Arn)Not/.test(name);
  const plain = name.replace("Not", "");
  const test = Object.hasOwn(TESTS, plain) ? TESTS[plain] : undefined;
  if (test === undefined) return undefined;
  if (given === undefined || given.length === 0) {
    // Of no values, none is another one.
    return ifExists !== undefined || quantifier === "ForAllValues:" || (isNegated && quantifier === undefined);
  }
  const isOne = (value: string): boolean => wanted.some((pattern) => test(pattern, value));
  if (quantifier === "ForAllValues:") return given.every((value) => isOne(value) !== isNegated);
  if (quantifier === "ForAnyValue:") return given.some((value) => isOne(value) !== isNegated);
  return isNegated ? !given.some(isOne) : given.some(isOne);
}

function textsOf(value: unknown): readonly string[] {
  return [value].flat().flatMap((each) => (["string", "number", "boolean"].includes(typeof each) ? [`${each as string | number | boolean}`] : []));
}
