// A small Express API as one would deploy it to Fargate, with Node's default keep-alive of 5 s.
import { networkInterfaces } from "node:os";
import express from "express";

const port = Number(process.env.PORT ?? 8080);
const app = express();
// Behind a load balancer: the client is who X-Forwarded-For says.
app.set("trust proxy", true);
app.use(express.json({ limit: "1mb" }));

const ip = Object.values(networkInterfaces())
  .flat()
  .find((address) => address?.family === "IPv4" && !address.internal)?.address;

app.get("/", (_request, response) => response.json({ app: "express-api", message: process.env.MESSAGE ?? "hello from Tidegate", ip }));
app.get("/health", (_request, response) => response.json({ status: "ok" }));
app.post("/echo", (request, response) => response.json({ received: request.body, ip }));
app.get("/slow", (request, response) => {
  const seconds = Math.min(60, Number(request.query.seconds ?? 5));
  setTimeout(() => response.json({ slept: seconds, ip }), seconds * 1000);
});

const server = app.listen(port, "0.0.0.0", () => console.log(JSON.stringify({ msg: "listening", port })));

process.once("SIGTERM", () => {
  console.log(JSON.stringify({ msg: "SIGTERM: finishing open requests" }));
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
