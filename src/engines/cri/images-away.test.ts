import { status } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { FakeClock } from "../../core/clock.ts";
import { DiskGuard } from "../../host/disk-guard.ts";
import { type ContainerdClient, RpcError } from "./grpc.ts";
import { Images } from "./images.ts";

/** containerd may die between any two calls of a pull: who asked has to be told that it was away, so that the pull is tried again. */

const DIGEST = "sha256:1";
const dropped = new RpcError("ImageStatus", status.UNAVAILABLE, "Connection dropped");

function imagesOf(client: Partial<ContainerdClient>): Images {
  const clock = new FakeClock();
  const ctr = { program: "ctr", socket: "none", snapshotter: "native" };
  return new Images({
    client: client as ContainerdClient,
    clock,
    ctr,
    disk: new DiskGuard({ folder: "/tmp", clock }),
    root: "/nowhere",
    pauseImage: "pause",
  });
}

test.each([
  ["at the look for an image", { getImage: () => Promise.reject(dropped) }],
  [
    "at the look at one that is there",
    { getImage: () => Promise.resolve({ image: { name: "any", target: { digest: DIGEST } } }), imageStatus: () => Promise.reject(dropped) },
  ],
])("a pull whose containerd dies %s is unavailable, and says of which image", async (_when, client) => {
  const pull = imagesOf(client as unknown as Partial<ContainerdClient>).pull({ image: "localhost:4566/shop/api:v1", policy: "if-not-present" });
  await expect(pull).rejects.toMatchObject({ kind: "unavailable", message: expect.stringMatching(/shop\/api:v1: Connection dropped$/) });
});
