/** Replaces the small files that Tidegate keeps, and the host's hosts file. `files FOLDER LEDGER ROUNDS` */
import { readFileSync, writeFileSync, mkdirSync, openSync, fsyncSync } from "node:fs";
import { join } from "node:path";
import { replaceFile, writeFileAtomically } from "../../../../src/host/files.ts";
import { HostsFile } from "../../../../src/network/hosts-file.ts";
import { LedgerWriter } from "../ledger.ts";

const [, , folder = "", ledgerPath = "", rounds = "1"] = process.argv;
const ledger = new LedgerWriter(ledgerPath);

async function store(path: string, value: string, write: () => Promise<void>): Promise<void> {
  ledger.begin(path, value);
  await write();
  ledger.done(path);
}

// The host's file was there, and is sure.
const etc = join(folder, "etc");
mkdirSync(etc, { recursive: true });
const hosts = join(etc, "hosts");
writeFileSync(hosts, "127.0.0.1 localhost\n");
for (const path of [hosts, etc, folder]) fsyncSync(openSync(path, "r"));
ledger.begin("etc/hosts", readFileSync(hosts, "utf8"));
ledger.done("etc/hosts");

for (let round = 1; round <= Number(rounds); round++) {
  const value = JSON.stringify({ round, text: "x".repeat(2000) });
  await store("data/instance.json", value, () => writeFileAtomically(join(folder, "data/instance.json"), value));
  // As HAProxy's configuration: written as a draft, checked, put in its place.
  const draft = join(folder, "data/haproxy/vpc/haproxy.cfg.new");
  await store("data/haproxy/vpc/haproxy.cfg", value, async () => {
    await writeFileAtomically(draft, value, { mode: 0o600 });
    await replaceFile(draft, join(folder, "data/haproxy/vpc/haproxy.cfg"));
  });
  const named = `127.0.0.1 localhost\n# tidegate abc123 begin\n10.0.0.${round} web\n# tidegate abc123 end\n`;
  await store("etc/hosts", named, () => new HostsFile(hosts, "abc123").write([{ name: "web", addresses: [`10.0.0.${round}`] }]));
}
