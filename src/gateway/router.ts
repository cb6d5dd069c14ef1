import type { Service } from "../contracts/service.ts";
import { Problem } from "../core/problem.ts";
import { formOf } from "../protocol/query/protocol.ts";
import { peekScope } from "../protocol/sigv4/parse.ts";
import { createServiceCodec } from "../protocol/service-codec.ts";
import type { ServiceCodec } from "../protocol/service-codec.ts";
import type { WireRequest } from "../protocol/wire.ts";

/** Finds the service that a request is for: by `X-Amz-Target`, by the signing name of its credential, by the API version of a Query request. */
export class ServiceRouter {
  readonly #services: readonly Service[];
  readonly #byTarget: ReadonlyMap<string, Service>;
  readonly #codecs = new Map<Service, Promise<ServiceCodec>>();

  constructor(services: readonly Service[]) {
    this.#services = services;
    this.#byTarget = new Map(services.flatMap((service) => (service.targetPrefix === undefined ? [] : [[service.targetPrefix, service] as const])));
  }

  find(request: WireRequest): Service | undefined {
    const target = request.headers["x-amz-target"];
    const byTarget = target === undefined ? undefined : this.#byTarget.get(target.slice(0, Math.max(0, target.lastIndexOf("."))));
    if (byTarget !== undefined) return byTarget;
    const signingName = peekScope(request)?.service;
    const signed = this.#services.filter((service) => service.signingName === signingName);
    if (signed.length === 1) return signed[0];
    if (target !== undefined || !mayBeQuery(request)) return signed[0];
    const version = formOf(request).children.get("Version")?.value;
    return (signed.length > 0 ? signed : this.#services).find((service) => isQuery(service) && service.apiVersion === version) ?? signed[0];
  }

  /** Loads the service's schemas at its first request. @throws Problem `unsupported` for a protocol that is not built. */
  codec(service: Service): Promise<ServiceCodec> {
    let codec = this.#codecs.get(service);
    if (codec === undefined) {
      codec = createServiceCodec(service);
      this.#codecs.set(service, codec);
      codec.catch(() => this.#codecs.delete(service));
    }
    return codec;
  }
}

function isQuery(service: Service): boolean {
  return service.protocol === "awsQuery" || service.protocol === "ec2Query";
}

/** Whether a request looks like one of the Query protocols: a form, or parameters in the URL. */
export function mayBeQuery(request: WireRequest): boolean {
  return request.query.includes("Action=") || /^application\/x-www-form-urlencoded\b/i.test(request.headers["content-type"] ?? "");
}

/** In words, why a request reached no service. */
export function describeMiss(request: WireRequest, services: readonly Service[]): string {
  const signingName = peekScope(request)?.service;
  const known = services.map((service) => service.name).join(", ");
  if (signingName !== undefined) return `Tidegate does not serve '${signingName}'. It serves: ${known}.`;
  const target = request.headers["x-amz-target"];
  if (target !== undefined) return `Tidegate serves nothing under the target '${target}'. It serves: ${known}.`;
  return `Nothing is served at ${request.method} ${request.path}. AWS APIs are at POST /, the registry under /v2/.`;
}

export function isUnsupportedProtocol(error: unknown): error is Problem {
  return error instanceof Problem && error.kind === "unsupported";
}
