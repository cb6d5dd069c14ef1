import { expect, test } from "vitest";
import { parseCall } from "./routes.ts";

const STREAMS = { stdin: false, stdout: true, stderr: true, tty: false };

test("paths without a pod", () => {
  expect(["/healthz", "/pods", "/stats/summary?only_cpu_and_memory=true", "/metrics/resource"].map((target) => parseCall(target))).toEqual([
    { type: "health" },
    { type: "pods" },
    { type: "summary" },
    { type: "resource-metrics" },
  ]);
  for (const target of ["/", "/metrics", "/exec", "/exec/default", "/exec/default/web", "/run/default/web/app", "/containerLogs/default/web"]) {
    expect(parseCall(target), target).toMatchObject({ status: 404 });
  }
});

test("a target that is no URL is refused, and no failure of ours", () => {
  for (const target of ["//", "http://[", "//node:port/pods"]) expect(parseCall(target), target).toMatchObject({ status: 400 });
});

test("exec and attach say which streams they want; a terminal has one output", () => {
  expect(parseCall("/exec/default/web/app?command=sh&command=-c&command=a%20b%26c&output=1&error=1")).toEqual({
    type: "exec",
    namespace: "default",
    pod: "web",
    container: "app",
    command: ["sh", "-c", "a b&c"],
    ...STREAMS,
  });
  expect(parseCall("/attach/default/web/1234/app?input=1&output=1&error=1&tty=1")).toEqual({
    type: "attach",
    namespace: "default",
    pod: "web",
    uid: "1234",
    container: "app",
    stdin: true,
    stdout: true,
    stderr: false,
    tty: true,
  });
  expect(parseCall("/exec/default/web/app?command=sh")).toMatchObject({ status: 400 });
});

test("port-forward, with ports where they are said", () => {
  expect(parseCall("/portForward/default/web")).toEqual({ type: "port-forward", namespace: "default", pod: "web", ports: [] });
  expect(parseCall("/portForward/default/web/12?port=80&port=443,99999")).toEqual({
    type: "port-forward",
    namespace: "default",
    pod: "web",
    uid: "12",
    ports: [80, 443],
  });
});

test("the log's options, and what is refused of them", () => {
  const options = (query: string): unknown => {
    const call = parseCall(`/containerLogs/default/web/app?${query}`);
    return "options" in call ? call.options : call;
  };
  const usual = { follow: false, previous: false, timestamps: false, streams: "All" };
  expect(options("")).toEqual(usual);
  expect(options("follow=true&timestamps=true&tailLines=5&sinceSeconds=60&limitBytes=10&stream=Stderr")).toEqual({
    ...usual,
    follow: true,
    timestamps: true,
    streams: "Stderr",
    tailLines: 5,
    sinceSeconds: 60,
    limitBytes: 10,
  });
  expect(options("previous=true&sinceTime=2026-01-01T00:00:00Z")).toEqual({ ...usual, previous: true, sinceMs: Date.UTC(2026, 0, 1) });
  expect(options("tailLines=x")).toMatchObject({ status: 400 });
  for (const query of ["tailLines=-1", "limitBytes=0", "sinceSeconds=0", "sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z", "stream=both"]) {
    expect(options(query), query).toMatchObject({ status: 422 });
  }
});
