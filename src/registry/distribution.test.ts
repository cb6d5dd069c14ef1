/** The cases of the OCI distribution conformance suite, by its four workflows, and what ECR and docker add. */
import { createHash, randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createMemoryStore } from "../store/memory/memory-store.ts";
import { DOCKER_LIST, DOCKER_MANIFEST, MANIFEST_LIMIT_BYTES, OCI_INDEX, OCI_MANIFEST } from "./manifest-document.ts";
import {
  ACCOUNT,
  blobOf,
  manifestOf,
  pushBlob,
  pushImage,
  putManifest,
  REGION,
  startTestRegistry,
  type TestBlob,
  type TestRegistry,
} from "./test-registry.ts";

let server: TestRegistry;
beforeAll(async () => {
  server = await startTestRegistry({ store: createMemoryStore() });
});
afterAll(async () => server[Symbol.asyncDispose]());

async function newRepository(name = `r${randomBytes(6).toString("hex")}`): Promise<string> {
  await server.registry.repositories.create({ account: ACCOUNT, region: REGION, name });
  return name;
}

async function startUpload(repository: string): Promise<string> {
  const response = await server.call(`/v2/${repository}/blobs/uploads/`, { method: "POST" });
  expect(response.status).toBe(202);
  return response.headers.get("location") ?? "";
}

const bytesOf = (blob: TestBlob): Uint8Array<ArrayBuffer> => new Uint8Array(blob.bytes);

async function errorOf(response: Response): Promise<{ readonly status: number; readonly code: string; readonly message: string }> {
  const { errors } = (await response.json()) as { readonly errors: readonly { readonly code: string; readonly message: string }[] };
  return { status: response.status, code: errors[0]?.code ?? "", message: errors[0]?.message ?? "" };
}

describe("authentication", () => {
  it("asks for Basic credentials as ECR does", async () => {
    const response = await fetch(`${server.url}/v2/`);
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toBe(`Basic realm="${server.url}/",service="ecr.amazonaws.com"`);
    expect(response.headers.get("docker-distribution-api-version")).toBe("registry/2.0");
    expect(await response.text()).toBe("Not Authorized\n");
  });

  it("lets a token in, and neither a forged nor a broken one", async () => {
    expect((await server.call("/v2/")).status).toBe(200);
    const forged = JSON.parse(Buffer.from(Buffer.from(server.authorization.slice(6), "base64").toString().slice(4), "base64").toString()) as {
      payload: string;
    };
    forged.payload = Buffer.from(JSON.stringify({ account: "999999999999", region: REGION, principalArn: "x", expiresAtMs: 9e15 })).toString(
      "base64url",
    );
    const password = Buffer.from(JSON.stringify(forged)).toString("base64");
    for (const basic of [`AWS:${password}`, "AWS:", "root:secret", "AWS:bm9wZQ=="]) {
      const response = await fetch(`${server.url}/v2/`, { headers: { authorization: `Basic ${Buffer.from(basic).toString("base64")}` } });
      expect(response.status).toBe(401);
    }
  });

  it("says that a token has expired", async () => {
    const old = server.registry.tokens.issue({ account: ACCOUNT, region: REGION, principalArn: "arn" }, -1);
    const response = await fetch(`${server.url}/v2/`, { headers: { authorization: `Basic ${old.authorizationToken}` } });
    expect(await errorOf(response)).toEqual({
      status: 403,
      code: "DENIED",
      message: "Your authorization token has expired. Reauthenticate and try again.",
    });
  });

  it("keeps accounts apart, under AWS's host names too", async () => {
    const repository = await newRepository();
    const foreign = server.registry.tokens.issue({ account: "999999999999", region: REGION, principalArn: "arn:aws:iam::999999999999:user/eve" });
    const headers = { authorization: `Basic ${foreign.authorizationToken}` };
    const own = await fetch(`${server.url}/v2/${repository}/tags/list`, { headers });
    expect(await errorOf(own)).toMatchObject({ status: 404, code: "NAME_UNKNOWN" });
    const named = await fetch(`${server.url}/v2/${repository}/tags/list?ns=${ACCOUNT}.dkr.ecr.${REGION}.amazonaws.com`, { headers });
    const denied = await errorOf(named);
    expect(denied).toMatchObject({ status: 403, code: "DENIED" });
    expect(denied.message).toContain("User: arn:aws:iam::999999999999:user/eve is not authorized to perform: ecr:ListImages on resource:");
  });
});

describe("names", () => {
  it("finds the same repository by localhost, by AWS's name in ns and by AWS's name as the host", async () => {
    const repository = await newRepository("team/web");
    await pushImage(server, repository, "v1");
    const ecr = `${ACCOUNT}.dkr.ecr.${REGION}.amazonaws.com`;
    for (const query of ["", `?ns=localhost:4566`, `?ns=127.0.0.1`, `?ns=${ecr}`]) {
      expect((await server.call(`/v2/${repository}/manifests/v1${query}`)).status).toBe(200);
    }
    const other = await server.call(`/v2/${repository}/manifests/v1?ns=${ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com`);
    expect(await errorOf(other)).toMatchObject({ status: 404, code: "NAME_UNKNOWN" });
  });

  it("never takes a plain name for a public image", async () => {
    await server.registry.putPublicBlob("busybox:1", blobOf("c").digest, (await import("node:stream")).Readable.from([Buffer.from("c")]));
    expect(await errorOf(await server.call("/v2/library/busybox/manifests/1"))).toEqual({
      status: 404,
      code: "NAME_UNKNOWN",
      message: `The repository with name 'library/busybox' does not exist in the registry with id '${ACCOUNT}'`,
    });
  });

  it("refuses what is not a name", async () => {
    for (const name of ["UPPER", "a..b", "-a", "a/", "a//b"]) {
      expect((await server.call(`/v2/${name}/tags/list`)).status).toBeGreaterThanOrEqual(400);
    }
    expect(await errorOf(await server.call("/v2/UPPER/tags/list"))).toMatchObject({ status: 400, code: "NAME_INVALID" });
  });
});

describe("push", () => {
  it("takes a blob in one POST", async () => {
    const repository = await newRepository();
    const blob = blobOf();
    const response = await server.call(`/v2/${repository}/blobs/uploads/?digest=${blob.digest}`, { method: "POST", body: bytesOf(blob) });
    expect(response.status).toBe(201);
    expect(response.headers.get("docker-content-digest")).toBe(blob.digest);
    expect((await server.call(response.headers.get("location") ?? "")).status).toBe(200);
  });

  it("takes a blob by POST and PUT", async () => {
    const repository = await newRepository();
    const blob = blobOf();
    const location = await startUpload(repository);
    const response = await server.call(`${location}?digest=${blob.digest}`, { method: "PUT", body: bytesOf(blob) });
    expect(response.status).toBe(201);
    expect(response.headers.get("location")).toBe(`/v2/${repository}/blobs/${blob.digest}`);
  });

  it("takes a blob streamed in one PATCH without a range, as docker sends it", async () => {
    const repository = await newRepository();
    const blob = blobOf(randomBytes(2_500_000));
    const location = await startUpload(repository);
    const body = new Blob([bytesOf(blob)]).stream();
    const patched = await server.call(location, { method: "PATCH", body, duplex: "half" });
    expect(patched.status).toBe(202);
    expect(patched.headers.get("range")).toBe("0-2499999");
    expect((await server.call(`${location}?digest=${blob.digest}`, { method: "PUT" })).status).toBe(201);
    const back = Buffer.from(await (await server.call(`/v2/${repository}/blobs/${blob.digest}`)).arrayBuffer());
    expect(back.equals(blob.bytes)).toBe(true);
  });

  it("takes a blob in chunks, tells how far it is, and refuses chunks out of order", async () => {
    const repository = await newRepository();
    const blob = blobOf(randomBytes(30));
    const location = await startUpload(repository);
    const patch = (start: number, end: number): Promise<Response> =>
      server.call(location, {
        method: "PATCH",
        body: bytesOf({ ...blob, bytes: blob.bytes.subarray(start, end + 1) }),
        headers: { "content-range": `${start}-${end}`, "content-type": "application/octet-stream" },
      });
    const early = await patch(10, 19);
    expect(early.status).toBe(416);
    expect(early.headers.get("location")).toBe(location);
    expect((await patch(0, 9)).headers.get("range")).toBe("0-9");
    const again = await patch(0, 9);
    expect(again.status).toBe(416);
    expect(again.headers.get("range")).toBe("0-9");
    const status = await server.call(location);
    expect([status.status, status.headers.get("range"), status.headers.get("location")]).toEqual([204, "0-9", location]);
    expect((await patch(10, 19)).status).toBe(202);
    const last = await server.call(`${location}?digest=${blob.digest}`, {
      method: "PUT",
      body: bytesOf({ ...blob, bytes: blob.bytes.subarray(20) }),
      headers: { "content-range": "20-29" },
    });
    expect(last.status).toBe(201);
  });

  it("refuses a length that does not fit the range, and keeps what it had", async () => {
    const repository = await newRepository();
    const location = await startUpload(repository);
    const wrong = await server.call(location, { method: "PATCH", body: "12345", headers: { "content-range": "0-9" } });
    expect(await errorOf(wrong)).toMatchObject({ status: 400, code: "SIZE_INVALID" });
    const body = new Blob(["12345"]).stream();
    const short = await server.call(location, { method: "PATCH", body, duplex: "half", headers: { "content-range": "0-9" } });
    expect(await errorOf(short)).toMatchObject({ status: 400, code: "SIZE_INVALID" });
    expect((await server.call(location, { method: "PATCH", body: "12345" })).headers.get("range")).toBe("0-4");
  });

  it("refuses a wrong digest and a missing one", async () => {
    const repository = await newRepository();
    const blob = blobOf();
    const wrong = await server.call(`${await startUpload(repository)}?digest=${blobOf().digest}`, { method: "PUT", body: bytesOf(blob) });
    expect(await errorOf(wrong)).toMatchObject({ status: 400, code: "DIGEST_INVALID" });
    const none = await server.call(await startUpload(repository), { method: "PUT", body: bytesOf(blob) });
    expect(await errorOf(none)).toMatchObject({ status: 400, code: "DIGEST_INVALID" });
    expect((await server.call(`/v2/${repository}/blobs/${blob.digest}`)).status).toBe(404);
  });

  it("ends an upload on DELETE, and knows no other upload", async () => {
    const repository = await newRepository();
    const location = await startUpload(repository);
    expect((await server.call(location, { method: "DELETE" })).status).toBe(204);
    expect(await errorOf(await server.call(location))).toMatchObject({ status: 404, code: "BLOB_UPLOAD_UNKNOWN" });
    const other = await newRepository();
    const foreign = (await startUpload(repository)).replace(repository, other);
    expect(await errorOf(await server.call(foreign, { method: "PATCH", body: "x" }))).toMatchObject({ code: "BLOB_UPLOAD_UNKNOWN" });
  });

  it("mounts a blob of another repository, and starts an upload when it cannot", async () => {
    const [from, to] = [await newRepository(), await newRepository()];
    const blob = blobOf();
    await pushBlob(server, from, blob);
    const mounted = await server.call(`/v2/${to}/blobs/uploads/?mount=${blob.digest}&from=${from}`, { method: "POST" });
    expect([mounted.status, mounted.headers.get("location")]).toEqual([201, `/v2/${to}/blobs/${blob.digest}`]);
    expect((await server.call(`/v2/${to}/blobs/${blob.digest}`)).status).toBe(200);
    const missing = await server.call(`/v2/${to}/blobs/uploads/?mount=${blobOf().digest}&from=${from}`, { method: "POST" });
    expect([missing.status, missing.headers.get("location")]).toEqual([202, expect.stringContaining("/blobs/uploads/")]);
  });

  it("shows no blob that only another repository holds", async () => {
    const [from, to] = [await newRepository(), await newRepository()];
    const blob = blobOf();
    await pushBlob(server, from, blob);
    expect(await errorOf(await server.call(`/v2/${to}/blobs/${blob.digest}`))).toMatchObject({ status: 404, code: "BLOB_UNKNOWN" });
  });

  it("refuses a push to a repository that does not exist, in ECR's words", async () => {
    const response = await server.call("/v2/nowhere/blobs/uploads/", { method: "POST" });
    expect(await errorOf(response)).toEqual({
      status: 404,
      code: "NAME_UNKNOWN",
      message: `The repository with name 'nowhere' does not exist in the registry with id '${ACCOUNT}'`,
    });
  });

  it("takes a manifest by tag and by digest, and answers its digest", async () => {
    const repository = await newRepository();
    const { manifest } = await pushImage(server, repository, "v1");
    const byDigest = await putManifest(server, `${repository}/manifests/${manifest.digest}`, manifest);
    expect([byDigest.status, byDigest.headers.get("docker-content-digest")]).toEqual([201, manifest.digest]);
    expect(byDigest.headers.get("location")).toBe(`/v2/${repository}/manifests/${manifest.digest}`);
  });

  it("refuses manifests that are broken, unfit or too large", async () => {
    const repository = await newRepository();
    const { manifest, config, layer } = await pushImage(server, repository, "ok");
    const put = async (blob: TestBlob, type?: string, reference = "bad"): Promise<string> =>
      (await errorOf(await putManifest(server, `${repository}/manifests/${reference}`, blob, type))).code;
    expect(await put(blobOf("{"))).toBe("MANIFEST_INVALID");
    expect(await put(blobOf("[]"))).toBe("MANIFEST_INVALID");
    expect(await put(manifest, DOCKER_MANIFEST)).toBe("MANIFEST_INVALID");
    expect(await put(manifest, "application/vnd.docker.distribution.manifest.v1+json")).toBe("MANIFEST_INVALID");
    expect(await put(blobOf(manifest.bytes.toString().replace('"schemaVersion":2', '"schemaVersion":1')))).toBe("MANIFEST_INVALID");
    expect(await put(manifestOf(config, [{ ...layer, bytes: Buffer.alloc(3) }]))).toBe("MANIFEST_INVALID");
    expect(await put(manifestOf(config, [layer], { manifests: [] }))).toBe("MANIFEST_INVALID");
    expect(await put(manifest, OCI_MANIFEST, blobOf().digest)).toBe("DIGEST_INVALID");
    expect(await put(manifest, OCI_MANIFEST, "-dash")).toBe("TAG_INVALID");
    expect(await put(blobOf(Buffer.alloc(MANIFEST_LIMIT_BYTES + 1, 32)))).toBe("SIZE_INVALID");
    expect((await server.call(`/v2/${repository}/manifests/bad`)).status).toBe(404);
  });

  it("refuses a manifest whose blobs or children are not there, naming them", async () => {
    const repository = await newRepository();
    const { manifest } = await pushImage(server, repository, "v1");
    const missing = blobOf();
    const image = await errorOf(await putManifest(server, `${repository}/manifests/x`, manifestOf(missing, [])));
    expect(image).toMatchObject({ code: "MANIFEST_BLOB_UNKNOWN", message: expect.stringContaining(missing.digest) });
    const index = blobOf(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: OCI_INDEX,
        manifests: [manifest, missing].map((child) => ({ mediaType: OCI_MANIFEST, digest: child.digest, size: child.bytes.length })),
      }),
    );
    const refused = await errorOf(await putManifest(server, `${repository}/manifests/multi`, index, OCI_INDEX));
    expect(refused).toMatchObject({ code: "MANIFEST_BLOB_UNKNOWN", message: expect.stringContaining(missing.digest) });
  });

  it("does not move the tag of an immutable repository, but takes the same manifest again", async () => {
    const repository = await newRepository();
    await server.registry.repositories.update(
      { account: ACCOUNT, region: REGION, name: repository },
      { tagMutability: "IMMUTABLE_WITH_EXCLUSION", mutabilityExclusions: ["dev-*"] },
    );
    const { manifest } = await pushImage(server, repository, "v1");
    expect((await putManifest(server, `${repository}/manifests/v1`, manifest)).status).toBe(201);
    await expect(pushImage(server, repository, "v1")).rejects.toThrow(
      `The image tag 'v1' already exists in the '${repository}' repository and cannot be overwritten because the repository is immutable.`,
    );
    await pushImage(server, repository, "dev-1");
    await pushImage(server, repository, "dev-1");
  });
});

describe("pull", () => {
  it("serves blobs with HEAD, ranges and conditions", async () => {
    const repository = await newRepository();
    const blob = blobOf("0123456789");
    await pushBlob(server, repository, blob);
    const path = `/v2/${repository}/blobs/${blob.digest}`;
    const head = await server.call(path, { method: "HEAD" });
    expect([head.status, head.headers.get("content-length"), head.headers.get("accept-ranges")]).toEqual([200, "10", "bytes"]);
    const ranged = async (range: string): Promise<unknown> => {
      const response = await server.call(path, { headers: { range } });
      return [response.status, response.headers.get("content-range"), await response.text()];
    };
    expect(await ranged("bytes=2-4")).toEqual([206, "bytes 2-4/10", "234"]);
    expect(await ranged("bytes=7-")).toEqual([206, "bytes 7-9/10", "789"]);
    expect(await ranged("bytes=-2")).toEqual([206, "bytes 8-9/10", "89"]);
    expect(await ranged("bytes=5-99")).toEqual([206, "bytes 5-9/10", "56789"]);
    expect(await ranged("bytes=10-")).toEqual([416, "bytes */10", ""]);
    expect(await ranged("bytes=0-1,4-5")).toEqual([200, null, "0123456789"]);
    expect((await server.call(path, { headers: { "if-none-match": `"${blob.digest}"` } })).status).toBe(304);
    expect(await errorOf(await server.call(`/v2/${repository}/blobs/sha256:short`))).toMatchObject({ status: 400, code: "DIGEST_INVALID" });
  });

  it("serves manifests by tag and digest as they were pushed", async () => {
    const repository = await newRepository();
    const { manifest } = await pushImage(server, repository, "v1");
    for (const reference of ["v1", manifest.digest]) {
      const head = await server.call(`/v2/${repository}/manifests/${reference}`, { method: "HEAD" });
      expect([head.status, head.headers.get("docker-content-digest"), head.headers.get("content-length")]).toEqual([
        200,
        manifest.digest,
        String(manifest.bytes.length),
      ]);
      const got = await server.call(`/v2/${repository}/manifests/${reference}`, { headers: { accept: DOCKER_MANIFEST + `,${OCI_MANIFEST}` } });
      expect(got.headers.get("content-type")).toBe(OCI_MANIFEST);
      expect(Buffer.from(await got.arrayBuffer()).equals(manifest.bytes)).toBe(true);
    }
    const missing = await server.call(`/v2/${repository}/manifests/none`);
    expect(await errorOf(missing)).toEqual({ status: 404, code: "MANIFEST_UNKNOWN", message: "Requested image not found" });
  });

  it("gives a client that takes no index the linux/amd64 image of a tag, and never translates a digest", async () => {
    const repository = await newRepository();
    const [arm, amd] = [(await pushImage(server, repository, "arm")).manifest, (await pushImage(server, repository, "amd")).manifest];
    const entries = [
      { blob: arm, architecture: "arm64" },
      { blob: amd, architecture: "amd64" },
    ];
    const manifests = entries.map(({ blob, architecture }) => ({
      mediaType: OCI_MANIFEST,
      digest: blob.digest,
      size: blob.bytes.length,
      platform: { os: "linux", architecture },
    }));
    const index = blobOf(JSON.stringify({ schemaVersion: 2, mediaType: DOCKER_LIST, manifests }));
    expect((await putManifest(server, `${repository}/manifests/multi`, index, DOCKER_LIST)).status).toBe(201);
    const get = async (reference: string, accept: string): Promise<string | null> =>
      (await server.call(`/v2/${repository}/manifests/${reference}`, { headers: { accept } })).headers.get("docker-content-digest");
    expect(await get("multi", `${DOCKER_LIST}, ${OCI_MANIFEST}`)).toBe(index.digest);
    expect(await get("multi", OCI_MANIFEST)).toBe(amd.digest);
    expect(await get("multi", "*/*")).toBe(index.digest);
    expect(await get(index.digest, OCI_MANIFEST)).toBe(index.digest);
    expect(await get("multi", DOCKER_MANIFEST)).toBeNull();
  });

  it("opens a single blob by its signed path, and no other", async () => {
    const repository = await newRepository();
    const [blob, other] = [blobOf(), blobOf()];
    await pushBlob(server, repository, blob);
    await pushBlob(server, repository, other);
    const path = server.registry.layerPath({ account: ACCOUNT, region: REGION, name: repository }, blob.digest);
    const response = await fetch(server.url + path);
    expect(response.status).toBe(200);
    expect(Buffer.from(await response.arrayBuffer()).equals(blob.bytes)).toBe(true);
    expect((await fetch(server.url + path.replace(blob.digest, other.digest))).status).toBe(401);
    expect((await fetch(`${server.url + path}x`)).status).toBe(401);
  });
});

describe("content discovery", () => {
  it("lists tags in order, page by page", async () => {
    const repository = await newRepository();
    const { manifest } = await pushImage(server, repository, "b");
    for (const tag of ["d", "a", "c", "B"]) await putManifest(server, `${repository}/manifests/${tag}`, manifest);
    const tags = async (query: string): Promise<unknown> => {
      const response = await server.call(`/v2/${repository}/tags/list${query}`);
      return [((await response.json()) as { readonly tags: unknown }).tags, response.headers.get("link")];
    };
    expect(await tags("")).toEqual([["B", "a", "b", "c", "d"], null]);
    expect(await tags("?n=2")).toEqual([["B", "a"], `</v2/${repository}/tags/list?n=2&last=a>; rel="next"`]);
    expect(await tags("?n=2&last=a")).toEqual([["b", "c"], expect.any(String)]);
    expect(await tags("?n=2&last=c")).toEqual([["d"], null]);
    expect(await tags("?n=0")).toEqual([[], null]);
    expect(await errorOf(await server.call("/v2/nowhere/tags/list"))).toMatchObject({ status: 404, code: "NAME_UNKNOWN" });
  });

  it("lists the repositories of the caller's account, page by page", async () => {
    await using alone = await startTestRegistry({ store: createMemoryStore() });
    for (const name of ["zz", "aa", "aa/b"]) await alone.registry.repositories.create({ account: ACCOUNT, region: REGION, name });
    await alone.registry.repositories.create({ account: "999999999999", region: REGION, name: "theirs" });
    const first = await alone.call("/v2/_catalog?n=2");
    expect(await first.json()).toEqual({ repositories: ["aa", "aa/b"] });
    const next = /<(.*)>; rel="next"/.exec(first.headers.get("link") ?? "")?.[1] ?? "";
    expect(await (await alone.call(next)).json()).toEqual({ repositories: ["zz"] });
  });

  it("lists referrers, with and without a filter, whether or not the subject is there", async () => {
    const repository = await newRepository();
    const subject = blobOf("not pushed");
    const empty = blobOf("{}");
    await pushBlob(server, repository, empty);
    const referrer = (artifactType: string): TestBlob =>
      manifestOf(empty, [], {
        artifactType,
        subject: { mediaType: OCI_MANIFEST, digest: subject.digest, size: 10 },
        annotations: { about: artifactType },
      });
    for (const type of ["application/vnd.sbom", "application/vnd.signature"]) {
      const manifest = referrer(type);
      const response = await putManifest(server, `${repository}/manifests/${manifest.digest}`, manifest);
      expect([response.status, response.headers.get("oci-subject")]).toEqual([201, subject.digest]);
    }
    const all = await server.call(`/v2/${repository}/referrers/${subject.digest}`);
    expect(all.headers.get("content-type")).toBe(OCI_INDEX);
    expect(((await all.json()) as { readonly manifests: unknown[] }).manifests).toHaveLength(2);
    const filtered = await server.call(`/v2/${repository}/referrers/${subject.digest}?artifactType=application/vnd.sbom`);
    expect(filtered.headers.get("oci-filters-applied")).toBe("artifactType");
    const sbom = referrer("application/vnd.sbom");
    expect(await filtered.json()).toEqual({
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: [
        {
          mediaType: OCI_MANIFEST,
          digest: sbom.digest,
          size: sbom.bytes.length,
          artifactType: "application/vnd.sbom",
          annotations: { about: "application/vnd.sbom" },
        },
      ],
    });
    const none = await server.call(`/v2/${repository}/referrers/${blobOf().digest}`);
    expect(await none.json()).toMatchObject({ manifests: [] });
    await server.call(`/v2/${repository}/manifests/${sbom.digest}`, { method: "DELETE" });
    const left = await server.call(`/v2/${repository}/referrers/${subject.digest}`);
    expect(((await left.json()) as { readonly manifests: unknown[] }).manifests).toHaveLength(1);
  });
});

describe("content management", () => {
  it("deletes tags, manifests and blobs, each on its own", async () => {
    const repository = await newRepository();
    const { manifest, layer } = await pushImage(server, repository, "v1");
    const remove = async (path: string): Promise<number> => (await server.call(`/v2/${repository}/${path}`, { method: "DELETE" })).status;
    expect(await remove(`blobs/${layer.digest}`)).toBe(405);
    expect(await remove("manifests/v1")).toBe(202);
    expect(await remove("manifests/v1")).toBe(404);
    expect((await server.call(`/v2/${repository}/manifests/${manifest.digest}`)).status).toBe(200);
    expect(await remove(`manifests/${manifest.digest}`)).toBe(202);
    expect((await server.call(`/v2/${repository}/manifests/${manifest.digest}`)).status).toBe(404);
    expect(await remove(`blobs/${layer.digest}`)).toBe(202);
    expect(await remove(`blobs/${layer.digest}`)).toBe(404);
  });

  it("deletes a manifest with all its tags, but not one that an index needs", async () => {
    const repository = await newRepository();
    const { manifest } = await pushImage(server, repository, "v1");
    const manifests = [{ mediaType: OCI_MANIFEST, digest: manifest.digest, size: manifest.bytes.length }];
    const index = blobOf(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
    await putManifest(server, `${repository}/manifests/multi`, index, OCI_INDEX);
    const needed = await server.call(`/v2/${repository}/manifests/${manifest.digest}`, { method: "DELETE" });
    expect(await errorOf(needed)).toMatchObject({ status: 403, code: "DENIED", message: expect.stringContaining(index.digest) });
    await server.call(`/v2/${repository}/manifests/${index.digest}`, { method: "DELETE" });
    expect((await server.call(`/v2/${repository}/manifests/multi`)).status).toBe(404);
    expect((await server.call(`/v2/${repository}/manifests/${manifest.digest}`, { method: "DELETE" })).status).toBe(202);
    expect((await server.call(`/v2/${repository}/manifests/v1`)).status).toBe(404);
  });

  it("refuses what is not part of the API", async () => {
    const repository = await newRepository();
    expect((await server.call(`/v2/${repository}/tags/list`, { method: "DELETE" })).status).toBe(405);
    expect((await server.call("/v2/nonsense", { method: "GET" })).status).toBe(405);
  });
});

describe("uploads across a restart", () => {
  it("goes on where the file ends", async () => {
    const store = createMemoryStore();
    const first = await startTestRegistry({ store });
    await first.registry.repositories.create({ account: ACCOUNT, region: REGION, name: "app" });
    const blob = blobOf(randomBytes(3_000_000));
    const location = (await first.call("/v2/app/blobs/uploads/", { method: "POST" })).headers.get("location") ?? "";
    await first.call(location, { method: "PATCH", body: new Uint8Array(blob.bytes.subarray(0, 1_000_000)) });
    await first.stop();

    await using second = await startTestRegistry({ store, folder: first.folder });
    expect((await second.call(location)).headers.get("range")).toBe("0-999999");
    const rest = { method: "PATCH", body: new Uint8Array(blob.bytes.subarray(1_000_000)), headers: { "content-range": "1000000-2999999" } };
    expect((await second.call(location, rest)).status).toBe(202);
    expect((await second.call(`${location}?digest=${blob.digest}`, { method: "PUT" })).status).toBe(201);
    const back = Buffer.from(await (await second.call(`/v2/app/blobs/${blob.digest}`)).arrayBuffer());
    expect(createHash("sha256").update(back).digest("hex")).toBe(blob.digest.slice(7));
    expect(await readdir(join(second.folder, "uploads"))).toEqual([]);
  });
});
