import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { parseAddress } from "../../../storage/address/address.ts";
import { openStore } from "../../../storage/s3/client.ts";
import { ServiceClock } from "../../../storage/s3/serviceClock.ts";

test("a service's clock is known from its answers, also from one that refuses", async (t) => {
  const date = "Sat, 28 Nov 2026 18:05:54 GMT";
  const server = createServer((_request, response) => {
    response.setHeader("Date", date);
    response.writeHead(403, { "content-type": "application/xml" });
    response.end("<Error><Code>AccessDenied</Code></Error>");
  }).listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const endpoint = `http://127.0.0.1:${port}`;
  const address = parseAddress({ endpoint, region: "us-east-1", bucket: "shop", prefix: "p" });
  const store = openStore(address, { accessKeyId: "k", secretAccessKey: "s" });
  t.after(() => store.client.destroy());
  assert.equal(store.serviceTime(), undefined);
  await assert.rejects(store.get("p/x"), { name: "AccessDenied" });
  const offset = (store.serviceTime()?.getTime() ?? 0) - Date.parse(date);
  assert.ok(offset >= 0 && offset < 60_000, `${offset} ms`);
});

test("an answer without a date tells nothing, and takes nothing away", () => {
  const clock = new ServiceClock();
  clock.note(undefined);
  clock.note("soon");
  assert.equal(clock.now(), undefined);
  clock.note("Sat, 28 Nov 2026 18:05:54 GMT");
  clock.note(undefined);
  assert.equal(clock.now()?.toISOString().slice(0, 16), "2026-11-28T18:05");
});
