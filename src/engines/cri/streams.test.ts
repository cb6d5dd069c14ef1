import { expect, test } from "vitest";
import { endpointOf } from "./streams.ts";

test("a stream is taken from this host's loopback only", () => {
  expect(endpointOf("http://127.0.0.1:33841/exec/bV3kQ1aa")).toEqual({ port: 33841, path: "/exec/bV3kQ1aa" });
  for (const url of ["http://0.0.0.0:1/exec/a", "http://10.0.0.1:1/exec/a", "https://127.0.0.1:1/exec/a", "http://127.0.0.1.example.com/exec/a"]) {
    expect(() => endpointOf(url)).toThrow("not by HTTP at 127.0.0.1");
  }
});
