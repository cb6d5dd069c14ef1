// A small Fastify API as one would deploy it to Fargate: it knows its own task, answers health checks, and ends cleanly.
import { networkInterfaces } from "node:os";
import Fastify from "fastify";

const port = Number(process.env.PORT ?? 3000);
// Behind a load balancer: the client is who X-Forwarded-For says.
const app = Fastify({ logger: true, trustProxy: true, forceCloseConnections: "idle" });

const addresses = Object.values(networkInterfaces())
  .flat()
  .filter((address) => address?.family === "IPv4" && !address.internal)
  .map((address) => address.address);

app.get("/", async () => ({ app: "fastify-api", message: process.env.MESSAGE ?? "hello from Tidegate", ip: addresses[0], version: process.version }));

app.get("/health", async () => ({ status: "ok" }));

// What the platform tells this task about itself: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-fargate.html
app.get("/task", async (_request, reply) => {
  const uri = process.env.ECS_CONTAINER_METADATA_URI_V4;
  if (uri === undefined) return reply.code(404).send({ error: "not running as a task" });
  const response = await fetch(`${uri}/task`);
  return response.json();
});

app.post("/echo", async (request) => ({ received: request.body, ip: addresses[0] }));

// For trying long requests during a rollover: GET /slow?seconds=20
app.get("/slow", async (request) => {
  const seconds = Math.min(60, Number(request.query.seconds ?? 5));
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  return { slept: seconds, ip: addresses[0] };
});

process.once("SIGTERM", async () => {
  app.log.info("SIGTERM: finishing open requests");
  await app.close();
  process.exit(0);
});

await app.listen({ host: "0.0.0.0", port });
