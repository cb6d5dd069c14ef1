import { expect, it } from "vitest";
import { loginsOf } from "./pull-secrets.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");

it("reads both types of Secrets, with a login in parts or as one, and leaves out what is none", () => {
  const config = {
    auths: {
      "https://index.docker.io/v1/": { auth: base64("ann:pa:ss") },
      "registry.example.com:5000/team": { username: "bob", password: "secret", email: "x" },
      "*.example.com": { auth: "", username: "cid", password: "" },
      none: {},
      wrong: { auth: base64("nocolon") },
    },
  };
  expect(
    loginsOf([{ ".dockerconfigjson": JSON.stringify(config) }, { ".dockercfg": JSON.stringify({ "quay.io": { auth: base64("dan:d") } }) }]),
  ).toEqual([
    { registry: "https://index.docker.io/v1/", username: "ann", password: "pa:ss" },
    { registry: "registry.example.com:5000/team", username: "bob", password: "secret" },
    { registry: "*.example.com", username: "cid", password: "" },
    { registry: "quay.io", username: "dan", password: "d" },
  ]);
  expect(loginsOf([{ ".dockerconfigjson": "{" }, { ".dockerconfigjson": "[]" }, { other: "{}" }, { ".dockercfg": "null" }])).toEqual([]);
});
