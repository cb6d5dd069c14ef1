import { expect, test } from "vitest";
import { scopeOf } from "./address.ts";

const home = { account: "100000000000", region: "us-east-1", port: 4567, earlierPorts: [4566] };
const asked = (ns: string) => scopeOf({ host: "127.0.0.1:4567", ns, caller: undefined, home });

test("images named after a port that the instance had before are its own still; those of any other port are not", () => {
  for (const ns of ["localhost", "localhost:4567", "localhost:4566", "127.0.0.1:4566"]) {
    expect(asked(ns)).toEqual({ scope: { account: "100000000000", region: "us-east-1" } });
  }
  expect(() => asked("localhost:5000")).toThrow("is not a registry that images can be pulled from");
});
