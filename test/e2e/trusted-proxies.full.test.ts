// contract.md 8 for the control plane: behind a load balancer that is trusted, keys and the trail see who really calls.
import { randomBytes } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { ApiKeyService, ListApiKeysRequestSchema } from "@conduit-link/proto/conduit/v1/api_key_service_pb";
import { expect, test } from "vitest";
import { startConduit } from "../support/conduit.ts";
import { runConduit } from "../support/conduit-process.ts";
import { rawGrpc } from "../support/raw-grpc.ts";
import { makeTmpDir } from "../support/tmp-dir.ts";

test("API keys bound to addresses are judged by what the trusted balancer says, on both ports", async () => {
  const dataDir = makeTmpDir("conduit-server-").path;
  const env = { CONDUIT_MASTER_KEY: randomBytes(32).toString("base64") };
  const command = ["api-key", "create", "--role", "operator", "--local", "--json", "--data-dir", dataDir];
  const { key } = JSON.parse((await runConduit(command, { env })).stdout) as { key: string };
  const args = ["--host", "127.0.0.1", "--trusted-proxies", "127.0.0.1"];
  await using server = await startConduit("server", { dataDir, env, args });
  const call = async (method: string, body: object, secret: string, forwardedFor: string) =>
    fetch(`http://127.0.0.1:${server.ports.http}/conduit.v1.${method}`, {
      method: "POST",
      headers: {
        ...{ authorization: `Bearer ${secret}`, "content-type": "application/json" },
        "x-forwarded-for": forwardedFor,
      },
      body: JSON.stringify(body),
    });
  const apiKey = { role: "ROLE_OPERATOR", allowedAddresses: ["198.51.100.0/24"] };
  const created = await call("ApiKeyService/CreateApiKey", { apiKey }, key, "203.0.113.5");
  const { apiKey: bound } = (await created.json()) as { apiKey: { key: string } };
  const list = (forwardedFor: string) => call("ProjectService/ListProjects", {}, bound.key, forwardedFor);
  expect((await list("198.51.100.7")).status).toBe(200);
  expect((await list("198.51.100.7, 203.0.113.5")).status).toBe(403);

  const grpc = rawGrpc(`127.0.0.1:${server.ports.grpc}`);
  const listKeys = (forwardedFor: string) =>
    grpc.call(ApiKeyService.method.listApiKeys, create(ListApiKeysRequestSchema), {
      authorization: `Bearer ${bound.key}`,
      headers: { "x-forwarded-for": forwardedFor },
    });
  expect((await listKeys("198.51.100.7")).status).toBe("OK");
  expect((await listKeys("203.0.113.5")).status).toBe("PERMISSION_DENIED");
  grpc.client.close();

  const trail = await call("AuditService/ListAuditEvents", {}, key, "203.0.113.5");
  const { auditEvents } = (await trail.json()) as { auditEvents: { action: string; clientAddress: string }[] };
  expect(auditEvents).toContainEqual(expect.objectContaining({ clientAddress: "203.0.113.5" }));
}, 60_000);
