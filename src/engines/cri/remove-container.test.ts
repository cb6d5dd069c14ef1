import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeClock } from "../../core/clock.ts";
import { Containers } from "./containers.ts";
import { type ContainerdClient, RpcError } from "./grpc.ts";
import { OomVerdicts } from "./oom.ts";
import type { Sandboxes } from "./sandboxes.ts";
import type { Ulimits } from "./ulimits.ts";

let folder: string;

beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "tidegate-remove-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Of a containerd that refuses to remove a container so often, in these words. */
function refusing(words: string, times: number) {
  const clock = new FakeClock();
  const told = { tries: 0 };
  const removeContainer = async (): Promise<object> => {
    if (told.tries++ < times) throw new RpcError("RemoveContainer", status.UNKNOWN, words);
    return {};
  };
  const client = { removeContainer } as unknown as ContainerdClient;
  const rest = { sandboxes: {} as Sandboxes, ulimits: {} as Ulimits, apparmor: false, root: folder, socket: "none" };
  return { told, clock, containers: new Containers({ client, clock, oom: new OomVerdicts(folder), ...rest }) };
}

test.each([
  `failed to set removing state for container "c1": container is in starting state, can't be removed`,
  `failed to set removing state for container "c1": container is already in removing state`,
  `failed to set removing state for container "c1": container is still running, to stop first`,
])("a removal is asked for again while containerd says: %s", async (words) => {
  const { told, clock, containers } = refusing(words, 5);
  const removal = containers.remove("c1");
  await clock.advance(5_000);
  await removal;
  expect(told.tries).toBe(6);
});

test.each([
  ["what does not pass by itself", "failed to delete container: device or resource busy", 1],
  ["what does not pass in half a minute", "container is in starting state, can't be removed", Infinity],
])("%s is said", async (_what, words, times) => {
  const { clock, containers } = refusing(words, times);
  const removal = expect(containers.remove("c1")).rejects.toThrow(words);
  await clock.advance(60_000);
  await removal;
});
