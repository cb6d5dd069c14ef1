import { invalidParameter } from "./errors.ts";
import type { FargateProfileRecord } from "./records.ts";

const MOST_SELECTORS = 5;
const MOST_LABELS = 5;
const NAME = /^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$/;
const NAMESPACE = /^[a-z0-9*?](?:[a-z0-9*?-]{0,61}[a-z0-9*?])?$/;
const LABEL_VALUE = /^[A-Za-z0-9*?](?:[A-Za-z0-9*?._-]{0,61}[A-Za-z0-9*?])?$|^$/;
const LABEL_KEY = /^(?:[a-z0-9*?.-]{1,253}\/)?[A-Za-z0-9*?](?:[A-Za-z0-9*?._-]{0,61}[A-Za-z0-9*?])?$/;

export interface AskedSelector {
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** @throws InvalidParameterException */
export function checkProfileName(name: string, clusterName: string): void {
  if (!NAME.test(name)) throw invalidParameter("The Fargate profile name parameter contains invalid characters", clusterName);
}

/** The selectors of a new profile. @throws InvalidParameterException in EKS's words. Pure. */
export function readSelectors(asked: readonly AskedSelector[] | undefined, clusterName: string): FargateProfileRecord["selectors"] {
  const refuse = (message: string): never => {
    throw invalidParameter(message, clusterName);
  };
  if (asked === undefined || asked.length === 0) return refuse("Fargate Profile requires at least one selector.");
  if (asked.length > MOST_SELECTORS) return refuse(`Request contains more than ${MOST_SELECTORS} Selectors`);
  return asked.map(({ namespace = "", labels = {} }) => {
    if (namespace === "") return refuse("Fargate Profile must have at least one selector with at least one namespace value.");
    if (!NAMESPACE.test(namespace)) return refuse("The namespace provided is invalid.");
    if (Object.keys(labels).length > MOST_LABELS) return refuse(`Request contains Selector with more than ${MOST_LABELS} Label pairs`);
    const isValid = Object.entries(labels).every(([key, value]) => LABEL_KEY.test(key) && LABEL_VALUE.test(value));
    return isValid ? { namespace, labels } : refuse("Selector label provided is invalid.");
  });
}
