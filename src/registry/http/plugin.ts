import type { FastifyError, FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from "fastify";
import { messageOf } from "../../core/problem.ts";
import type { Scope } from "../../core/scope.ts";
import type { RepositoryRef } from "../names.ts";
import { diskProblem, isRegistryProblem, RegistryProblem } from "../problems.ts";
import type { Caller, Verification } from "../tokens.ts";
import { isPublic, repositoryOf, routeOf, scopeOf, type Addressing, type Route } from "./address.ts";
import { handleBlob } from "./blobs.ts";
import { handleCatalog, handleReferrers, handleTags } from "./discovery.ts";
import { errorBody, OCI_ERRORS, type OciError } from "./errors.ts";
import type { Exchange, Rooms } from "./exchange.ts";
import { isLoginAccount } from "../logins.ts";
import { handleHandedOn } from "./handed-on.ts";
import { handleManifest } from "./manifests.ts";
import { handleUpload, handleUploads, uploadHeaders } from "./uploads.ts";

/** The query parameter that opens one blob, in the place of a presigned URL's signature. */
export const LAYER_TOKEN_PARAMETER = "X-Tidegate-Layer-Token";

/** The OCI distribution API under `/v2/`. Its content-type parsers hand on the raw body; they do not touch the parent's. */
export function registryPlugin(rooms: Rooms): FastifyPluginAsync {
  return async (app: FastifyInstance) => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser("*", (_request, payload, done) => done(null, payload));
    app.setErrorHandler((error, request, reply) => answerError(rooms, { error, request, reply }));
    for (const url of ["/v2", "/v2/*"]) {
      app.route({
        method: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        url,
        exposeHeadRoute: false,
        handler: (request, reply) => handle(rooms, request, reply),
      });
    }
  };
}

async function handle(rooms: Rooms, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  reply.header("docker-distribution-api-version", "registry/2.0");
  const url = new URL(request.raw.url ?? "/", "http://registry");
  const route = routeOf(decodePath(url.pathname));
  if (route === undefined) throw new RegistryProblem("unsupported", "The operation is unsupported.");
  const verified = rooms.tokens.verify(request.headers.authorization);
  const caller = verified.state === "valid" ? verified.caller : undefined;
  const addressing: Addressing = { host: request.headers.host ?? "", ns: url.searchParams.get("ns") ?? undefined, caller, home: rooms.home };
  if (!("name" in route))
    return handleGlobal({ rooms, request, reply, url, name: "", repository: NO_REPOSITORY, addressing, caller }, route, verified);
  const opened = layerScope(rooms, route, url, request.method);
  const repository = opened === undefined ? repositoryOf(route.name, addressing) : { ...opened, name: route.name };
  const exchange: Exchange = { rooms, request, reply, url, name: route.name, repository, addressing, caller };
  if (caller !== undefined && isLoginAccount(repository.account) && opened === undefined) {
    const { registry } = scopeOf(addressing);
    if (registry === undefined) throw new RegistryProblem("name-invalid", "a login at another registry opens nothing of this one");
    return handleHandedOn(exchange, route, registry);
  }
  if (opened === undefined) {
    const refused = await refusal(exchange, route, verified);
    if (refused !== undefined) return refuse(exchange, refused);
  }
  return dispatch(exchange, route);
}

const NO_REPOSITORY: RepositoryRef = { account: "", region: "", name: "" };

async function handleGlobal(exchange: Exchange, route: Route & { readonly kind: "base" | "catalog" }, verified: Verification): Promise<FastifyReply> {
  if (verified.state !== "valid") return refuse(exchange, verified.state);
  if (exchange.request.method !== "GET" && exchange.request.method !== "HEAD")
    throw new RegistryProblem("unsupported", "The operation is unsupported.");
  if (route.kind === "base") return exchange.reply.header("content-type", "application/json").send("{}");
  const { scope } = scopeOf(exchange.addressing);
  checkAccount(verified.caller, { ...scope, name: "*" }, "ecr:DescribeRepositories");
  return handleCatalog(exchange);
}

async function dispatch(exchange: Exchange, route: Exclude<Route, { readonly kind: "base" | "catalog" }>): Promise<FastifyReply> {
  switch (route.kind) {
    case "manifest":
      return handleManifest(exchange, route.reference);
    case "blob":
      return handleBlob(exchange, route.digest);
    case "uploads":
      return handleUploads(exchange);
    case "upload":
      return resumable(exchange, route.id);
    case "tags":
      return onlyRead(exchange, () => handleTags(exchange));
    case "referrers":
      return onlyRead(exchange, () => handleReferrers(exchange, route.digest));
    default:
      throw new RegistryProblem("unsupported", "The operation is unsupported.");
  }
}

/** A client that is told off for a wrong range learns where to go on. */
async function resumable(exchange: Exchange, id: string): Promise<FastifyReply> {
  try {
    return await handleUpload(exchange, id);
  } catch (error) {
    if (isRegistryProblem(error, "range-invalid") && error.offsetBytes !== undefined) uploadHeaders(exchange, id, error.offsetBytes);
    throw error;
  }
}

function onlyRead(exchange: Exchange, answer: () => Promise<FastifyReply>): Promise<FastifyReply> {
  if (!isRead(exchange.request.method)) throw new RegistryProblem("unsupported", "The operation is unsupported.");
  return answer();
}

function isRead(method: string): boolean {
  return method === "GET" || method === "HEAD";
}

/**
 * Why the request may not go on, if so. Reading a public image that is kept here needs no token (a Docker daemon's mirror sends none);
 * having this instance fetch one does.
 */
async function refusal(exchange: Exchange, route: Route & { readonly name: string }, verified: Verification): Promise<Refusal | undefined> {
  const { repository, request, addressing } = exchange;
  if (isPublic(repository)) {
    if (!isRead(request.method) && addressing.ns !== undefined) {
      throw new RegistryProblem("unsupported", `images cannot be pushed to ${addressing.ns} through this registry`);
    }
    // What everybody builds upon is changed only by the account that runs this instance.
    if (verified.state === "valid" && !isRead(request.method)) {
      checkAccount(verified.caller, { ...repository, account: exchange.rooms.home.account }, actionOf(route, request.method));
    }
    if (verified.state === "valid" || (isRead(request.method) && (await isKept(exchange, route)))) return undefined;
    return verified.state;
  }
  if (verified.state !== "valid") return verified.state;
  checkAccount(verified.caller, repository, actionOf(route, request.method));
  return undefined;
}

async function isKept(exchange: Exchange, route: Route & { readonly name: string }): Promise<boolean> {
  const { rooms, repository } = exchange;
  if (route.kind === "manifest") return (await rooms.images.find(repository, route.reference)) !== undefined;
  if (route.kind === "blob") return (await rooms.images.holdBlob(repository, route.digest)) !== undefined;
  return (await rooms.repositories.find(repository)) !== undefined;
}

type Refusal = Exclude<Verification["state"], "valid">;

function refuse(exchange: Exchange, refusal: Refusal): FastifyReply {
  const { reply, request } = exchange;
  if (refusal === "expired") {
    const message = "Your authorization token has expired. Reauthenticate and try again.";
    return reply
      .code(403)
      .header("content-type", "application/json")
      .send(JSON.stringify(errorBody("DENIED", message)));
  }
  return reply
    .code(401)
    .header("www-authenticate", `Basic realm="http://${request.headers.host ?? "localhost"}/",service="ecr.amazonaws.com"`)
    .header("content-type", "text/plain; charset=utf-8")
    .send("Not Authorized\n");
}

/** Another account's repositories need a repository policy, which is not built, so nobody may. */
function checkAccount(caller: Caller, repository: RepositoryRef, action: string): void {
  if (caller.account === repository.account) return;
  const resource = `arn:aws:ecr:${repository.region}:${repository.account}:repository/${repository.name}`;
  const message = `User: ${caller.principalArn} is not authorized to perform: ${action} on resource: ${resource} because no resource-based policy allows the ${action} action`;
  throw new RegistryProblem("denied", message);
}

/** @see the IAM action that ECR checks for each request */
function actionOf(route: Route, method: string): string {
  const actions: Readonly<Record<Route["kind"], string>> = {
    manifest: isRead(method) ? "ecr:BatchGetImage" : method === "PUT" ? "ecr:PutImage" : "ecr:BatchDeleteImage",
    blob: method === "HEAD" ? "ecr:BatchCheckLayerAvailability" : "ecr:GetDownloadUrlForLayer",
    uploads: "ecr:InitiateLayerUpload",
    upload: method === "PUT" ? "ecr:CompleteLayerUpload" : "ecr:UploadLayerPart",
    tags: "ecr:ListImages",
    referrers: "ecr:ListImageReferrers",
    base: "ecr:DescribeRepositories",
    catalog: "ecr:DescribeRepositories",
  };
  return actions[route.kind];
}

function layerScope(rooms: Rooms, route: Route & { readonly name: string }, url: URL, method: string): Scope | undefined {
  const token = url.searchParams.get(LAYER_TOKEN_PARAMETER);
  if (token === null || route.kind !== "blob" || !isRead(method)) return undefined;
  return rooms.tokens.verifyForLayer(token, { repository: route.name, digest: route.digest });
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** Clients show the words of 4xx answers alone (distribution, containers/image): who pushes to a full disk is denied, so as to read why. */
function answerOf({ reason }: RegistryProblem, method: string): OciError {
  return reason === "disk-full" && !isRead(method) ? { status: 403, code: "DENIED" } : OCI_ERRORS[reason];
}

async function answerError(
  rooms: Rooms,
  failed: { readonly error: unknown; readonly request: FastifyRequest; readonly reply: FastifyReply },
): Promise<FastifyReply> {
  const { request, reply } = failed;
  const error = diskProblem(failed.error, `${request.method} ${request.url}`);
  if (isRegistryProblem(error)) {
    const { status, code } = answerOf(error, request.method);
    if (status >= 500) rooms.logger.warn("registry request failed", { method: request.method, path: request.url, status, err: error.message });
    const detail = error.digests.length === 0 ? undefined : { digests: error.digests };
    return sendJson(reply, status, errorBody(code, error.message, detail));
  }
  const status = (error as FastifyError | undefined)?.statusCode;
  if (status !== undefined && status >= 400 && status < 500) return sendJson(reply, status, errorBody("UNSUPPORTED", messageOf(error)));
  if (request.raw.destroyed && !request.raw.complete) {
    rooms.logger.debug("the client went away", { method: request.method, path: request.url });
    return sendJson(reply, 499, errorBody("UNKNOWN", "the client went away"));
  }
  rooms.logger.error("registry request failed", { method: request.method, path: request.url, requestId: request.id, err: error });
  return sendJson(reply, 500, errorBody("UNKNOWN", `internal error; see the log for request ${request.id}`));
}

function sendJson(reply: FastifyReply, status: number, body: object): FastifyReply {
  return reply.code(status).removeHeader("content-length").removeHeader("etag").header("content-type", "application/json").send(JSON.stringify(body));
}
