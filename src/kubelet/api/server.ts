import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer as createHttps, type Server as HttpsServer } from "node:https";
import { createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { createInformer, type Informer } from "../../control/informer.ts";
import { isProblem, messageOf, Problem } from "../../core/problem.ts";
import { holderOfPort } from "../../host/listeners.ts";
import { nodeNameOf } from "../node-object.ts";
import { PLACEMENTS, placementKey, type PodPlacement } from "../records.ts";
import type { KubeletRoom } from "../room.ts";
import { answerLog, metricsOf, podsOf, streamFor, summaryOf, type Node } from "./answer.ts";
import { Callers } from "./callers.ts";
import { CpuRates } from "./cpu-rates.ts";
import { pipeUpgrade, refuseUpgrade } from "./pipe-upgrade.ts";
import { parseCall, type KubeletCall, type Refusal } from "./routes.ts";

/** The API server keeps connections for reuse; ours must not be the side that closes them under a request. */
const KEEP_ALIVE_MS = 120_000;
/** Serving certificates are good for a year. */
const RENEW_AFTER_MS = 30 * 24 * 60 * 60_000;

/** The kubelets of all nodes, by HTTPS, one listener for each VPC. */
export interface KubeletServer {
  /** Listens where a VPC's nodes are called: a caller seems to come from the address of the node that it calls. Idempotent. */
  listen(at: { readonly vpcId: string; readonly host: string; readonly port: number }): Promise<void>;
  /** Listens on this host address no more; calls under way go on. Idempotent. */
  unlisten(host: string): Promise<void>;
  close(): Promise<void>;
}

interface Served {
  readonly server: HttpsServer;
  readonly untilMs: number;
}

export function createKubeletServer(room: KubeletRoom): KubeletServer {
  return new Kubelets(room);
}

class Kubelets implements KubeletServer {
  readonly #room: KubeletRoom;
  readonly #callers: Callers;
  readonly #rates = new CpuRates();
  readonly #listeners = new Map<string, { readonly server: Server; readonly listening: Promise<void> }>();
  /** By placement: a server that is handed its connections, with the node's own certificate. */
  readonly #served = new Map<string, Promise<Served>>();
  readonly #connections = new Set<Socket>();
  #placements: Promise<Informer<PodPlacement>> | undefined;

  constructor(room: KubeletRoom) {
    this.#room = room;
    this.#callers = new Callers(room.clock);
  }

  listen({ vpcId, host, port }: { readonly vpcId: string; readonly host: string; readonly port: number }): Promise<void> {
    const known = this.#listeners.get(host);
    if (known !== undefined) return known.listening;
    const server = createServer((socket) => void this.#accept(vpcId, socket));
    const listening = new Promise<void>((resolve, reject) => {
      // Later ones, of a connection that could not be taken, are that connection's: without a listener they would end the process.
      server.on("error", (error: NodeJS.ErrnoException) => {
        if (error.code !== "EADDRINUSE") return reject(error);
        const holder = holderOfPort(host, port) ?? "another program";
        reject(new Problem("conflict", `port ${port} on ${host}, where clusters call their nodes, is taken by ${holder}`, { cause: error }));
      });
      server.listen(port, host, resolve);
    });
    this.#listeners.set(host, { server, listening });
    listening.catch(() => this.#listeners.delete(host));
    return listening;
  }

  async unlisten(host: string): Promise<void> {
    this.#listeners.get(host)?.server.close();
    this.#listeners.delete(host);
  }

  async close(): Promise<void> {
    const all = [...this.#listeners.values()];
    this.#listeners.clear();
    for (const socket of this.#connections) socket.destroy();
    await Promise.all(all.map(({ server }) => new Promise<void>((resolve) => server.close(() => resolve()))));
    (await this.#placements)?.[Symbol.dispose]();
  }

  async #accept(vpcId: string, socket: Socket): Promise<void> {
    this.#connections.add(socket);
    socket.once("close", () => this.#connections.delete(socket));
    socket.on("error", () => socket.destroy());
    try {
      const node = await this.#nodeAt(vpcId, (socket.remoteAddress ?? "").replace(/^::ffff:/, ""));
      if (node === undefined) return void socket.destroy();
      (await this.#serverOf(node)).emit("connection", socket);
    } catch (error) {
      this.#room.logger.warn("a call of a node was not taken", { vpcId, err: error });
      socket.destroy();
    }
  }

  async #nodeAt(vpcId: string, address: string): Promise<Node | undefined> {
    const { store, ports } = this.#room;
    this.#placements ??= createInformer({ store, collection: PLACEMENTS, indexes: { address: ({ value }) => [value.address ?? ""] } });
    for (const { value: placement } of (await this.#placements).byIndex("address", address)) {
      const cluster = await ports.clusters.get(placement.clusterKey);
      if (cluster?.vpcId === vpcId && cluster.uid === placement.clusterUid) return { cluster, placement };
    }
    return undefined;
  }

  async #serverOf(node: Node): Promise<HttpsServer> {
    const { clusterKey, uid } = node.placement;
    const key = placementKey(clusterKey, uid);
    const known = await this.#served.get(key);
    if (known !== undefined && known.untilMs > this.#room.clock.nowMs()) return known.server;
    await this.#forgetGone();
    const made = this.#serve(node);
    this.#served.set(key, made);
    made.catch(() => this.#served.delete(key));
    return (await made).server;
  }

  async #forgetGone(): Promise<void> {
    const placements = await this.#placements;
    for (const key of this.#served.keys()) if (placements?.get(key) === undefined) this.#served.delete(key);
  }

  async #serve(node: Node): Promise<Served> {
    const { ports, clock } = this.#room;
    const { cluster, placement } = node;
    const { certificate, key } = await ports.clusters.nodeCertificate(cluster.key, {
      nodeName: nodeNameOf(placement),
      address: placement.address ?? "",
    });
    const server = createHttps({
      key,
      cert: certificate,
      ca: cluster.authority,
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: ["http/1.1"],
    });
    server.keepAliveTimeout = KEEP_ALIVE_MS;
    server.on("request", (request, response) => void this.#answer(node, request, response));
    server.on("upgrade", (request, socket, head) => void this.#upgrade(node, { request, socket, head }));
    server.on("tlsClientError", (error) => this.#room.logger.debug("a call of a node was given up", { nodeName: nodeNameOf(placement), err: error }));
    return { server, untilMs: clock.nowMs() + RENEW_AFTER_MS };
  }

  /** The server and its connections outlive the workload that ran the pod when they came: another may run it now. */
  async #asItIs({ cluster, placement: before }: Node): Promise<Node> {
    const now = await this.#room.store.get(PLACEMENTS, placementKey(before.clusterKey, before.uid));
    return { cluster, placement: now?.value ?? before };
  }

  /** What is asked, where its asker may. */
  async #permitted(node: Node, request: IncomingMessage): Promise<KubeletCall | Refusal> {
    const call = parseCall(request.url ?? "/");
    const { cluster, placement } = node;
    const socket = request.socket as TLSSocket;
    const commonName: unknown = socket.authorized ? socket.getPeerCertificate().subject?.CN : undefined;
    const token = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
    const refusal = await this.#callers.refusal({
      // Whoever may ask nothing is not told what there is.
      call: "words" in call ? { type: "health" } : call,
      caller: { ...(typeof commonName === "string" && { commonName }), ...(token !== undefined && { token }) },
      nodeName: nodeNameOf(placement),
      clusterUid: cluster.uid,
      apiServerName: cluster.apiServerName,
      client: () => this.#room.connections.to(cluster),
    });
    return refusal ?? call;
  }

  async #answer(served: Node, request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume();
    try {
      const node = await this.#asItIs(served);
      const call = await this.#permitted(node, request);
      const refusal = "words" in call ? call : await this.#reply(node, call, response);
      if (refusal !== undefined) response.writeHead(refusal.status, { "content-type": "text/plain; charset=utf-8" }).end(refusal.words);
    } catch (error) {
      const isAway = isProblem(error, "unavailable");
      if (!isAway) this.#room.logger.error("a node's API failed", { nodeName: nodeNameOf(served.placement), err: error });
      if (response.headersSent) response.destroy();
      else
        response
          .writeHead(isAway ? 503 : 500, { "content-type": "text/plain; charset=utf-8" })
          .end(isAway ? messageOf(error) : "Tidegate failed; its log says why");
    }
  }

  async #reply(node: Node, call: KubeletCall, response: ServerResponse): Promise<Refusal | void> {
    const json = (value: unknown): void => void response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
    const text = (value: string, type = "text/plain; charset=utf-8"): void => void response.writeHead(200, { "content-type": type }).end(value);
    switch (call.type) {
      case "health":
        return text("ok");
      case "pods":
        return json(await podsOf(this.#room, node));
      case "summary":
        return json(await summaryOf(this.#room, node, this.#rates));
      case "resource-metrics":
        return text(await metricsOf(this.#room, node), "text/plain; version=0.0.4; charset=utf-8");
      case "logs":
        return answerLog(this.#room, node, { call, response });
      case "exec":
      case "attach":
      case "port-forward":
        return { status: 400, words: "Upgrade request required" };
    }
  }

  async #upgrade(served: Node, connection: { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer }): Promise<void> {
    const { socket, request } = connection;
    socket.on("error", () => socket.destroy());
    try {
      const node = await this.#asItIs(served);
      const call = await this.#permitted(node, request);
      if ("words" in call) return refuseUpgrade(socket, call);
      if (call.type !== "exec" && call.type !== "attach" && call.type !== "port-forward")
        return refuseUpgrade(socket, { status: 400, words: "nothing to upgrade to" });
      const endpoint = await streamFor(this.#room, node, call);
      if ("words" in endpoint) return refuseUpgrade(socket, endpoint);
      pipeUpgrade(connection, endpoint);
    } catch (error) {
      if (!isProblem(error)) this.#room.logger.error("a node's API failed", { nodeName: nodeNameOf(served.placement), err: error });
      refuseUpgrade(socket, { status: 503, words: messageOf(error) });
    }
  }
}
